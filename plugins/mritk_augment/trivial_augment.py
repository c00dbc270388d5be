"""TrivialAugment: one operation of any magnitude, nothing to tune (Müller & Hutter 2021)."""

from __future__ import annotations

import torch

from mritk_augment.operations import Limits
from mritk_augment.policy import apply_steps, draw_step

WIDE = Limits(shear=0.99, rotate=135.0, shift_share=0.0, shift_pixels=32.0, enhance=0.99, bits=6)


def trivial_augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Apply one random operation of random magnitude to each of (N, C, H, W) images in [0, 1]."""
    return apply_steps(images, [draw_step(images, generator, WIDE, magnitude=None)])
