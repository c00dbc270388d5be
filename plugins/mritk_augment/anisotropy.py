"""Anisotropy: fewer lines were measured along one axis than along the others."""

from __future__ import annotations

import torch

from mritk_augment.draws import between, per_image
from mritk_augment.kspace import along_drawn_axis
from mritk_augment.precision import at_least_single


def anisotropy(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    factor: tuple[float, float] = (1.5, 4.0),
) -> torch.Tensor:
    """Lower the resolution of (N, C, *spatial) images along one axis, at the same size.

    Args:
        images: In [0, 1].
        generator: Draws factor and axis for each image.
        factor: Range of the factor by which a pixel is wider along that axis.
    """
    factors = between(len(images), generator, *factor)

    def lower(part: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return keep_central_lines(part, factors[rows])

    lowered = along_drawn_axis(at_least_single(images), generator, lower)
    return lowered.clamp(0, 1).to(images.dtype)


def keep_central_lines(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Set the lines of k-space to zero that lie beyond 1/factor of the way out.

    That is a shorter acquisition filled up with zeros, as scanners do it: down and up in one step,
    with the ringing at edges that comes with it (Gibbs).
    """
    height = images.shape[-2]
    lines = torch.arange(height // 2 + 1, device=images.device).reshape(-1, 1)
    kept = lines <= per_image(height / (2 * factors), images)
    return torch.fft.irfft(torch.fft.rfft(images, dim=-2) * kept, n=height, dim=-2)
