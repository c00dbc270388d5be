"""Spikes: one wrong point of k-space lays stripes over the whole image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from mritk_augment.affine import VOLUMES, centres
from mritk_augment.draws import between, per_image
from mritk_augment.precision import at_least_single


def spike(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    strength: float = 0.15,
    frequency: tuple[float, float] = (0.1, 0.5),
) -> torch.Tensor:
    """Add one wave to each of (N, C, *spatial) images: a point of k-space and its mirror point.

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
    along = [directions.cos(), directions.sin()]  # x, y
    if images.ndim == VOLUMES:
        through = between(count, generator, -1, 1)
        in_plane = (1 - through.square()).sqrt()
        along = [*(part * in_plane for part in along), through]
    pixels = at_least_single(images)
    # Whole numbers of cycles are single points of k-space.
    cycles = [
        (frequencies * part * side).round()
        for part, side in zip(along, pixels.shape[:1:-1], strict=True)
    ]
    return stripes(pixels, amplitudes, cycles, phases).to(images.dtype)


def stripes(
    images: torch.Tensor,
    amplitudes: torch.Tensor,
    cycles: Sequence[torch.Tensor],
    phases: torch.Tensor,
) -> torch.Tensor:
    """Add amplitude · cos(phase + 2π · position · cycles), take the magnitude, and cut at white.

    A scanner gives magnitudes: where the wave is below black it shows as its mirror, so that air is
    striped too and not cut to zero. All parameters are (N,); ``cycles`` are per side, along x, y
    and, of volumes, z.
    """
    angle = per_image(phases, images)
    for axis, values in reversed(list(enumerate(cycles))):
        side = images.shape[-1 - axis]
        position = centres(side, images).reshape(-1, *[1] * axis) * math.pi
        angle = per_image(values, images) * position + angle
    return (images + per_image(amplitudes, images) * angle.cos_()).abs_().clamp_(max=1)
