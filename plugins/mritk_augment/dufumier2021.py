"""The augmentations of Dufumier et al. 2021 (arXiv:2106.01132), each for half of the images."""

from __future__ import annotations

from functools import partial

import torch

from mritk_augment.affine import AffineRanges, affine
from mritk_augment.bias_field import bias_field
from mritk_augment.blur import blur
from mritk_augment.crop import crop
from mritk_augment.draws import one_of
from mritk_augment.flip import flip
from mritk_augment.ghosting import ghosting
from mritk_augment.groups import apply_by_group
from mritk_augment.motion import motion
from mritk_augment.mri import without_rows
from mritk_augment.precision import at_least_single
from mritk_augment.rician_noise import rician_noise
from mritk_augment.spike import spike
from mritk_augment.swap import swap

# ±5°, and ±10 of 128 voxels.
POSITION = AffineRanges(rotation=5.0, shift=0.08, shear=0, zoom=0, brightness=0, contrast=0)
STEPS = (
    blur,
    rician_noise,
    crop,
    partial(affine, ranges=POSITION),
    ghosting,
    motion,
    spike,
    bias_field,
    swap,
)


def dufumier2021(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Vary (N, C, *spatial) images in [0, 1]: a flip and nine steps, each with probability 1/2."""
    pixels = flip(at_least_single(images), generator)
    for step in STEPS:
        chosen = one_of(len(images), generator, 2)
        pixels = apply_by_group(pixels, chosen, [None, without_rows(step, generator)])
    return pixels.to(images.dtype)
