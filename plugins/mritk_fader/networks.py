"""Encoder, decoder and adversary."""

from __future__ import annotations

import torch
from torch import nn

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
HIDDEN = (256, 64)


def encoder(channels: int, width: int, levels: int, dims: int) -> nn.Sequential:
    """Return a network from (N, C, *spatial) to latent values (N, width · 2^(levels - 1), *small).

    Each level halves the sides.
    """
    widths = [width * 2**level for level in range(levels)]
    layers: list[nn.Module] = []
    for before, after in zip([channels, *widths], widths, strict=False):
        layers += [CONVOLUTION[dims](before, after, 4, 2, 1, bias=False), NORM[dims](after)]
        layers += [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, CONVOLUTION[dims](widths[-1], widths[-1], 3, 1, 1))


class Decoder(nn.Module):
    """From latent values and sites back to (N, C, *spatial).

    Each layer is told the site anew, as one channel per site.
    """

    def __init__(self, channels: int, width: int, levels: int, sites: int, dims: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in reversed(range(levels))]
        pairs = zip(widths, [*widths[1:], width], strict=True)
        self.levels = nn.ModuleList(
            nn.Sequential(
                TRANSPOSED[dims](before + sites, after, 4, 2, 1, bias=False),
                NORM[dims](after),
                nn.ReLU(),
            )
            for before, after in pairs
        )
        self.last = CONVOLUTION[dims](width + sites, channels, 3, 1, 1)

    def forward(self, latent: torch.Tensor, sites: torch.Tensor) -> torch.Tensor:
        """Decode (N, L, *small) with ``sites`` (N, K), one of which is 1."""
        for level in self.levels:
            latent = level(with_map(latent, sites))
        decoded: torch.Tensor = self.last(with_map(latent, sites))
        return decoded


def with_map(values: torch.Tensor, sites: torch.Tensor) -> torch.Tensor:
    """Return (N, C, *spatial) with K more channels: those of ``sites`` (N, K) everywhere."""
    shape = values.shape[2:]
    return torch.cat([values, sites[(...,) + (None,) * len(shape)].expand(-1, -1, *shape)], dim=1)


def adversary(features: int, sites: int, dropout: float) -> nn.Sequential:
    """Return a network from features (N, F) to one logit per site (N, K)."""
    layers: list[nn.Module] = [nn.BatchNorm1d(features), nn.Dropout(dropout)]
    for before, after in zip((features, *HIDDEN), HIDDEN, strict=False):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(HIDDEN[-1], sites))


def features_of(latent: torch.Tensor, which: str) -> torch.Tensor:
    """Return (N, L) means over the grid of latent values (N, L, *small), or all of them."""
    return latent.flatten(2).mean(dim=2) if which == "mean" else latent.flatten(1)
