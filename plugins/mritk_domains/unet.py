"""A U-Net whose voxels have latent values, for images and volumes."""

from __future__ import annotations

import torch
from torch import nn

from mritk_domains.latent import Latent, draw

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
# Each of two levels halves the sides.
DIVISOR = 4


class LatentUNet(nn.Module):
    """Three levels, then means and log variances of latent values, then labels.

    In training it gives :class:`Latent`, each part (N, channels, *spatial); in evaluation mode the
    logits (N, labels, *spatial) for the means. Sides are multiples of 4.
    """

    def __init__(  # noqa: PLR0913 - sizes of layers, by name
        self,
        channels: int,
        labels: int,
        *,
        spatial_dims: int,
        width: int,
        latent: int,
        hidden: int,
        drawn: str | None,
    ) -> None:
        """Build it; ``drawn`` as in :class:`mritk_domains.latent.LatentHead`."""
        super().__init__()
        self._convolution, self._norm = CONVOLUTION[spatial_dims], NORM[spatial_dims]
        self.first = self._block(channels, width)
        self.second = self._block(width, 2 * width, stride=2)
        self.third = self._block(2 * width, 4 * width, stride=2)
        self.to_second = self._block(6 * width, 2 * width)
        self.to_first = self._block(3 * width, width)
        self.up = nn.Upsample(scale_factor=2)
        self.mean = self._latent(width, hidden, latent)
        self.log_variance = self._latent(width, hidden, latent) if drawn else None
        self.labels = self._convolution(latent, labels, 1)
        self._drawn = drawn

    def forward(self, batch: torch.Tensor) -> torch.Tensor | Latent:
        """Map (N, C, *spatial) to logits, in training to more; see the class."""
        first = self.first(batch)
        second = self.second(first)
        second = self.to_second(torch.cat([self.up(self.third(second)), second], dim=1))
        features = self.to_first(torch.cat([self.up(second), first], dim=1))
        mean = self.mean(features)
        if not self.training:
            logits: torch.Tensor = self.labels(mean)
            return logits
        if self.log_variance is None:
            return Latent(self.labels(mean), mean, mean, None)
        log_variance = self.log_variance(features)
        drawn = draw(mean, log_variance, published=self._drawn == "published")
        return Latent(self.labels(drawn), drawn, mean, log_variance)

    def _block(self, before: int, after: int, stride: int = 1) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inside, step in ((before, stride), (after, 1)):
            layers += [
                self._convolution(inside, after, 3, step, 1, bias=False),
                self._norm(after, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        return nn.Sequential(*layers)

    def _latent(self, width: int, hidden: int, latent: int) -> nn.Sequential:
        layers = self._convolution(width, hidden, 1), self._convolution(hidden, latent, 1)
        return nn.Sequential(layers[0], nn.ReLU(), layers[1])
