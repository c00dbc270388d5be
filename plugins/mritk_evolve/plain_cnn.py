"""``plain_cnn``: a network that mutations can train."""

from __future__ import annotations

from torch import nn

WIDTHS = (8, 16, 16, 16)
GRID = 2


def build() -> nn.Module:
    """Return a freshly initialised network: (N, 1, H, W) becomes features (N, 64).

    Four convolutions of stride 2, each followed by a ReLU, then means over the four quarters of the
    image: 5,888 weights, and nothing that is measured on batches.
    """
    layers: list[nn.Module] = []
    for before, width in zip((1, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Conv2d(before, width, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(GRID), nn.Flatten())
