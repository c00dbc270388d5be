"""Bias field: the slow shading that receive coils lay over an image."""

from __future__ import annotations

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
    """Multiply (N, C, H, W) images by smooth fields, and keep each image's brightest value.

    The field is the exponential of a polynomial of the position (Van Leemput et al. 1999, as an
    augmentation Sudre et al. 2017), with coefficients uniform in ±coefficient. The product is
    scaled back to the image's own maximum, as images are scaled when they leave the scanner, so
    that nothing is cut off at white.
    """
    count, terms = len(images), order + 1
    drawn = between(count * terms * terms, generator, -coefficient, coefficient)
    pixels = at_least_single(images)
    logarithm = polynomial(drawn.reshape(count, terms, terms).to(pixels, non_blocking=True), pixels)
    shaded = pixels * logarithm.exp()
    brightest = pixels.amax(dim=(1, 2, 3), keepdim=True)
    # Where all is black, any divisor serves.
    scale = brightest / shaded.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    return (shaded * scale).clamp_(0, 1).to(images.dtype)


def polynomial(coefficients: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, H, W) sums of ``coefficients[:, j, i] * x**i * y**j`` with 0 < i + j < K.

    Positions run from -1 to 1. Of the (N, K, K) coefficients, the constant one and those of a
    higher order are left out: a constant would be brightness.
    """
    height, width = images.shape[-2:]
    x = centres(width, images)
    y = centres(height, images).reshape(-1, 1)
    columns = coefficients.reshape(len(images), 1, 1, 1, *coefficients.shape[1:])
    terms = coefficients.shape[-1]
    total = images.new_zeros(())
    for j in reversed(range(terms)):  # Horner's rule, in y over polynomials in x
        row = images.new_zeros(())
        for i in reversed(range(terms - j)):
            row = row * x + (columns[..., j, i] if i + j else 0)
        total = total * y + row
    return total
