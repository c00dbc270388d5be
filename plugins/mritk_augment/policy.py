"""The policies RandAugment and TrivialAugment: a drawn sequence of operations for each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mritk_augment.affine import resample
from mritk_augment.draws import one_of
from mritk_augment.groups import Branch, apply_by_group
from mritk_augment.operations import (
    GEOMETRY,
    INTENSITY,
    OPERATIONS,
    SIGNED,
    Limits,
    magnitudes,
    moves,
    shares_of_sides,
)
from mritk_augment.precision import at_least_single

LIMITS = Limits(
    shear=0.3, rotate=30.0, shift_share=150 / 331, shift_pixels=0.0, enhance=0.9, bits=4
)
WIDE = Limits(shear=0.99, rotate=135.0, shift_share=0.0, shift_pixels=32.0, enhance=0.99, bits=6)


def rand_augment(
    images: torch.Tensor, generator: torch.Generator, *, operations: int = 2, magnitude: int = 9
) -> torch.Tensor:
    """Apply ``operations`` random operations to each of (N, C, H, W) images in [0, 1].

    RandAugment (Cubuk et al. 2020): all of one magnitude.

    Args:
        images: One or three channels.
        generator: Draws operations and signs for each image.
        operations: The paper's N.
        magnitude: The paper's M, in 0 … 30.
    """
    steps = [draw_step(images, generator, LIMITS, magnitude=magnitude) for _ in range(operations)]
    return apply_steps(images, steps)


def trivial_augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Apply one random operation of random magnitude to each of (N, C, H, W) images in [0, 1].

    TrivialAugment (Müller & Hutter 2021), which has nothing to tune.
    """
    return apply_steps(images, [draw_step(images, generator, WIDE, magnitude=None)])


@dataclass(frozen=True)
class Step:
    """One operation for each image.

    Attributes:
        operations: (N,) int64, indices of :data:`OPERATIONS`, on the CPU.
        values: (N,) float32, the magnitudes with their signs, on the CPU.
    """

    operations: torch.Tensor
    values: torch.Tensor


def draw_step(
    images: torch.Tensor, generator: torch.Generator, limits: Limits, *, magnitude: int | None
) -> Step:
    """Draw an operation, a bin (unless ``magnitude`` states it) and a sign for each image."""
    count, (height, width) = len(images), images.shape[-2:]
    operations = one_of(count, generator, len(OPERATIONS))
    table = magnitudes(limits, height, width)
    bins = one_of(count, generator, table.shape[1])
    if magnitude is not None:
        bins = torch.full_like(bins, magnitude)
    backward = one_of(count, generator, 2).bool() & SIGNED[operations]
    values = table[operations, bins]
    return Step(operations, torch.where(backward, -values, values))


def apply_steps(images: torch.Tensor, steps: list[Step]) -> torch.Tensor:
    """Return (N, C, H, W) images in [0, 1] after all steps.

    Geometric operations that follow each other are composed, and the image is resampled once
    (bilinear; black outside): only an operation on intensity in between forces an earlier one.
    """
    height, width = images.shape[-2:]
    pixels = at_least_single(images)
    pending = torch.eye(3).repeat(len(images), 1, 1)
    moved = torch.zeros(len(images), dtype=torch.bool)
    for step in steps:
        intensity = step.operations > len(GEOMETRY)
        due = moved & intensity
        pixels = resample_some(pixels, pending, due)
        pending = torch.where(due[:, None, None], torch.eye(3), pending)
        pixels = change_intensity(pixels, step)
        pending = pending @ moves(step.operations, step.values, height, width)
        moved = moved & ~due | ~intensity & (step.operations > 0)
    return resample_some(pixels, pending, moved).to(images.dtype)


def resample_some(
    images: torch.Tensor, matrices: torch.Tensor, chosen: torch.Tensor
) -> torch.Tensor:
    """Move the ``chosen`` (N,) images by their (N, 3, 3) matrices in pixels, both on the CPU."""
    shares = shares_of_sides(matrices, *images.shape[-2:])

    def move(part: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return resample(part, shares[rows].to(part, non_blocking=True)).clamp_(0, 1)

    return apply_by_group(images, chosen.long(), [None, move])


def change_intensity(images: torch.Tensor, step: Step) -> torch.Tensor:
    """Apply those of a step's operations that do not move pixels."""

    def branch(change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Branch:
        return lambda part, rows: change(part, step.values[rows])

    group = (step.operations - len(GEOMETRY)).clamp_min(0)
    return apply_by_group(images, group, [None, *map(branch, INTENSITY.values())])
