"""Bias field: the slow shading that receive coils lay over an image."""

from __future__ import annotations

import math
from typing import Any

import torch

from mritk_augment.affine import centres
from mritk_augment.draws import between
from mritk_augment.precision import at_least_single


def bias_field(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    coefficient: float = 0.3,
    order: int = 3,
) -> torch.Tensor:
    """Multiply (N, C, *spatial) images by smooth fields, and keep each image's brightest value.

    The field is the exponential of a polynomial of the position (Van Leemput et al. 1999, as an
    augmentation Sudre et al. 2017), with coefficients uniform in ±coefficient. The product is
    scaled back to the image's own maximum, as images are scaled when they leave the scanner, so
    that nothing is cut off at white.
    """
    shape = (len(images), *[order + 1] * (images.ndim - 2))
    drawn = between(math.prod(shape), generator, -coefficient, coefficient)
    pixels = at_least_single(images)
    logarithm = polynomial(drawn.reshape(shape).to(pixels, non_blocking=True), pixels)
    shaded = pixels * logarithm.exp()
    within = tuple(range(1, images.ndim))
    brightest = pixels.amax(dim=within, keepdim=True)
    # Where all is black, any divisor serves.
    scale = brightest / shaded.amax(dim=within, keepdim=True).clamp_min(1e-12)
    return (shaded * scale).clamp_(0, 1).to(images.dtype)


def polynomial(coefficients: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, *spatial) sums of ``coefficients[:, j, i] * x**i * y**j`` with 0 < i + j < K.

    Of volumes ``coefficients[:, k, j, i] * x**i * y**j * z**k``. Positions run from -1 to 1. Of the
    (N, K, …) coefficients, the constant one and those of a higher order are left out: a constant
    would be brightness.
    """
    sides = images.shape[2:]
    axes = range(len(sides))
    positions = [centres(sides[a], images).reshape(-1, *[1] * (len(sides) - 1 - a)) for a in axes]
    terms = coefficients.shape[-1]
    columns = coefficients.reshape(len(images), 1, *[1] * len(sides), *coefficients.shape[1:])

    def part(powers: tuple[int, ...]) -> Any:
        """Horner's rule, in each axis over polynomials in those behind it."""
        if len(powers) == len(sides):
            place: list[Any] = [..., *powers]
            return columns[tuple(place)] if any(powers) else 0
        total = images.new_zeros(())
        for power in reversed(range(terms - sum(powers))):
            total = total * positions[len(powers)] + part((*powers, power))
        return total

    return part(())
