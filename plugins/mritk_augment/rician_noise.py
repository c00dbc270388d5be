"""Rician noise: what is left of a scanner's complex noise in magnitude images."""

from __future__ import annotations

import torch

from mritk_augment.draws import between, per_image
from mritk_augment.noise import complex_normal
from mritk_augment.precision import at_least_single


def rician_noise(
    images: torch.Tensor, generator: torch.Generator, *, sigma: float = 0.05
) -> torch.Tensor:
    """Add complex normal noise to (N, C, *spatial) images and take the magnitude.

    Its standard deviation in each of the two parts is uniform in [0, sigma) of the pixel range.
    Black background becomes Rayleigh noise with mean s·√(π/2) (Gudbjartsson & Patz 1995). The
    channels of one image share its noise: a grey image stays grey.
    """
    strengths = between(len(images), generator, 0, sigma)
    keys = torch.randint(2**32, (len(images),), generator=generator)
    pixels = at_least_single(images)
    strength = per_image(strengths, pixels)
    radius, angle = complex_normal(keys, images.shape[2:], pixels)
    radius *= strength
    # The law of cosines. Rounding may take a square that is nearly zero below it.
    squared = pixels.square() + radius * (radius + 2 * pixels * angle.cos_())
    return squared.clamp_(0, 1).sqrt_().to(images.dtype)
