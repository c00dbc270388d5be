"""Spikes: one wrong point of k-space lays stripes over the whole image."""

from __future__ import annotations

import math

import torch

from mritk_augment.affine import centres
from mritk_augment.draws import between, per_image
from mritk_augment.precision import at_least_single


def spike(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    strength: float = 0.15,
    frequency: tuple[float, float] = (0.1, 0.5),
) -> torch.Tensor:
    """Add one wave to each of (N, C, H, W) images: a point of k-space and its mirror point.

    Args:
        images: In [0, 1].
        generator: Draws strength, frequency, direction and phase for each image.
        strength: Upper end of the wave's amplitude, in units of the pixel range.
        frequency: Of the stripes, in cycles per pixel.
    """
    count = len(images)
    amplitudes = between(count, generator, 0, strength)
    frequencies = between(count, generator, *frequency)
    directions = between(count, generator, 0, math.pi)
    phases = between(count, generator, 0, 2 * math.pi)
    pixels = at_least_single(images)
    height, width = pixels.shape[-2:]
    # Whole numbers of cycles are single points of k-space.
    cycles_x = (frequencies * directions.cos() * width).round()
    cycles_y = (frequencies * directions.sin() * height).round()
    return stripes(pixels, amplitudes, (cycles_x, cycles_y), phases).to(images.dtype)


def stripes(
    images: torch.Tensor,
    amplitudes: torch.Tensor,
    cycles: tuple[torch.Tensor, torch.Tensor],
    phases: torch.Tensor,
) -> torch.Tensor:
    """Add amplitude · cos(phase + 2π · position · cycles), take the magnitude, and cut at white.

    A scanner gives magnitudes: where the wave is below black it shows as its mirror, so that air is
    striped too and not cut to zero. All parameters are (N,); ``cycles`` are per side, along x and
    along y.
    """
    x = centres(images.shape[-1], images) * math.pi
    y = centres(images.shape[-2], images).reshape(-1, 1) * math.pi
    cycles_x, cycles_y = (per_image(values, images) for values in cycles)
    angle = cycles_x * x + (cycles_y * y + per_image(phases, images))
    return (images + per_image(amplitudes, images) * angle.cos_()).abs_().clamp_(max=1)
