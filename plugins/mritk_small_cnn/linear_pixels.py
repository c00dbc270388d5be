"""``linear_pixels``: an image as 32 × 32 grey levels, and nothing that learns.

With a linear head it is multinomial logistic regression on pixels, trained by the protocol of its
rivals. A network that is not better has learned nothing from the structure of images.
"""

from __future__ import annotations

import torch
from torch import nn

SIDE = 32


class Pixels(nn.Module):
    """Means over the channels and over the pixels of each cell of a grid of 32 × 32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, 1024)."""
        return nn.functional.adaptive_avg_pool2d(x.mean(dim=1, keepdim=True), SIDE).flatten(1)


def build() -> nn.Module:
    """Return a module without parameters: (N, 3, H, W) becomes features (N, 1024)."""
    return Pixels()
