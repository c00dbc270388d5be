"""Crop: a part of the field of view, stretched to all of it."""

from __future__ import annotations

import torch

from mritk_augment.affine import resample
from mritk_augment.draws import between, sent
from mritk_augment.precision import at_least_single


def crop(
    images: torch.Tensor, generator: torch.Generator, *, share: tuple[float, float] = (0.7, 1.0)
) -> torch.Tensor:
    """Cut a box anywhere out of each of (N, C, *spatial) images, and resize it (linearly).

    Args:
        images: In [0, 1].
        generator: Draws size and place of the box for each image.
        share: Range of the box's side, as a share of the image's; the same for all axes.
    """
    rank = images.ndim - 2
    shares = between(len(images), generator, *share)
    places = torch.stack([between(len(images), generator, -1, 1) for _ in range(rank)], dim=1)
    shifts = places * (1 - shares).unsqueeze(1)
    scaled = shares.reshape(-1, 1, 1) * torch.eye(rank)
    pixels = at_least_single(images)
    (matrices,) = sent(pixels, torch.cat([scaled, shifts.unsqueeze(2)], dim=2))
    return resample(pixels, matrices).clamp_(0, 1).to(images.dtype)
