"""A U-Net whose voxels have latent values, for images and volumes."""

from __future__ import annotations

import torch
from torch import nn

from mritk_domains.latent import Latent, draw
from mritk_segmentation.unet import UNetFeatures


class LatentUNet(UNetFeatures):
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
        super().__init__(channels, spatial_dims=spatial_dims, width=width)
        self.mean = self._latent(width, hidden, latent)
        self.log_variance = self._latent(width, hidden, latent) if drawn else None
        self.labels = self._convolution(latent, labels, 1)
        self._drawn = drawn

    def forward(self, batch: torch.Tensor) -> torch.Tensor | Latent:
        """Map (N, C, *spatial) to logits, in training to more; see the class."""
        features = self.features(batch)
        mean = self.mean(features)
        if not self.training:
            logits: torch.Tensor = self.labels(mean)
            return logits
        if self.log_variance is None:
            return Latent(self.labels(mean), mean, mean, None)
        log_variance = self.log_variance(features)
        drawn = draw(mean, log_variance, published=self._drawn == "published")
        return Latent(self.labels(drawn), drawn, mean, log_variance)

    def _latent(self, width: int, hidden: int, latent: int) -> nn.Sequential:
        layers = self._convolution(width, hidden, 1), self._convolution(hidden, latent, 1)
        return nn.Sequential(layers[0], nn.ReLU(), layers[1])
