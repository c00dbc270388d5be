"""A U-Net of three levels for images and volumes (Çiçek et al. 2016, arXiv:1606.06650)."""

from __future__ import annotations

import torch
from torch import nn

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
# Each of two levels halves the sides.
DIVISOR = 4


class UNetFeatures(nn.Module):
    """Maps (N, C, *spatial) to features (N, width, *spatial); sides are multiples of 4."""

    def __init__(self, channels: int, *, spatial_dims: int, width: int) -> None:
        """Build it; levels have ``width`` channels, twice and four times as many."""
        super().__init__()
        self._convolution, self._norm = CONVOLUTION[spatial_dims], NORM[spatial_dims]
        self.first = self._block(channels, width)
        self.second = self._block(width, 2 * width, stride=2)
        self.third = self._block(2 * width, 4 * width, stride=2)
        self.to_second = self._block(6 * width, 2 * width)
        self.to_first = self._block(3 * width, width)
        self.up = nn.Upsample(scale_factor=2)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        """Map (N, C, *spatial) to (N, width, *spatial)."""
        first = self.first(batch)
        second = self.second(first)
        second = self.to_second(torch.cat([self.up(self.third(second)), second], dim=1))
        found: torch.Tensor = self.to_first(torch.cat([self.up(second), first], dim=1))
        return found

    def _block(self, before: int, after: int, stride: int = 1) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inside, step in ((before, stride), (after, 1)):
            layers += [
                self._convolution(inside, after, 3, step, 1, bias=False),
                self._norm(after, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        return nn.Sequential(*layers)


class UNet(UNetFeatures):
    """Maps (N, C, *spatial) to logits (N, labels, *spatial).

    With ``patch`` of 2 or more, the first level sees patches of so many voxels along each axis as
    one place, and the last layer divides them again: the cost falls by the number of voxels of a
    patch. Sides are multiples of 4 times ``patch``.
    """

    def __init__(
        self, channels: int, labels: int, *, spatial_dims: int, width: int, patch: int
    ) -> None:
        """Build it."""
        inside = channels if patch == 1 else channels * patch**spatial_dims
        super().__init__(inside, spatial_dims=spatial_dims, width=width)
        self.patches: nn.Module = nn.Identity()
        if patch > 1:
            self.patches = self._convolution(channels, inside, patch, patch)
        self.labels = TRANSPOSED[spatial_dims](width, labels, patch, patch)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Map a batch to logits."""
        logits: torch.Tensor = self.labels(self.features(self.patches(batch)))
        return logits
