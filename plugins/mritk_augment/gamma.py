"""Gamma: another tone curve between the same black and white."""

from __future__ import annotations

import torch

from mritk_augment.draws import between, per_image
from mritk_augment.precision import at_least_single


def gamma(
    images: torch.Tensor, generator: torch.Generator, *, log_gamma: float = 0.3
) -> torch.Tensor:
    """Raise each image of (N, C, *spatial) to the power exp(u), u uniform in ±log_gamma.

    0 and 1 stay where they are, and so does the order of the grey values.
    """
    powers = between(len(images), generator, -log_gamma, log_gamma).exp()
    pixels = at_least_single(images)
    return (pixels ** per_image(powers, pixels)).to(images.dtype)
