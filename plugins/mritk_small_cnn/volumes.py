"""``small_cnn3d``: a small residual network for volumes, fast on a CPU."""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (16, 32, 64, 128)


def build() -> nn.Module:
    """Return a freshly initialised network: (N, 1, D, H, W) becomes features (N, 128).

    A stem halves the resolution. Four residual blocks follow, with 16, 32, 64 and 128 channels, the
    last three of which halve it again; then global average pooling. 897,360 trainable values.
    """
    stem = nn.Sequential(
        nn.Conv3d(1, WIDTHS[0], 3, stride=2, padding=1, bias=False),
        nn.BatchNorm3d(WIDTHS[0]),
        nn.ReLU(inplace=True),
    )
    pairs = zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
    blocks = [Residual(before, width) for before, width in pairs]
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool3d(1), nn.Flatten())


def stages(network: nn.Module) -> list[tuple[str, list[str]]]:
    """Return the stem and the four blocks, each with the names of its tensors."""
    tensors: dict[str, list[str]] = {}
    for name in network.state_dict():
        tensors.setdefault(name.partition(".")[0], []).append(name)
    return [("stem" if i == "0" else f"block {i}", names) for i, names in tensors.items()]


class Residual(nn.Module):
    """Two convolutions beside a shortcut; where the width grows, the resolution is halved."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        stride = 1 if before == width else 2
        self.body = nn.Sequential(
            nn.Conv3d(before, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.Conv3d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm3d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if before != width:
            self.shortcut = nn.Sequential(
                nn.AvgPool3d(2, ceil_mode=True),
                nn.Conv3d(before, width, 1, bias=False),
                nn.BatchNorm3d(width),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, before, D, H, W) to (N, width, D', H', W')."""
        return torch.relu(self.body(x) + self.shortcut(x))
