"""RandAugment: a few operations in a row, all of one magnitude (Cubuk et al. 2020)."""

from __future__ import annotations

import torch

from mritk_augment.operations import Limits
from mritk_augment.policy import apply_steps, draw_step

LIMITS = Limits(
    shear=0.3, rotate=30.0, shift_share=150 / 331, shift_pixels=0.0, enhance=0.9, bits=4
)


def rand_augment(
    images: torch.Tensor, generator: torch.Generator, *, operations: int = 2, magnitude: int = 9
) -> torch.Tensor:
    """Apply ``operations`` random operations to each of (N, C, H, W) images in [0, 1].

    Args:
        images: One or three channels.
        generator: Draws operations and signs for each image.
        operations: The paper's N.
        magnitude: The paper's M, in 0 … 30.
    """
    steps = [draw_step(images, generator, LIMITS, magnitude=magnitude) for _ in range(operations)]
    return apply_steps(images, steps)
