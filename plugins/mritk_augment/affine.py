"""Random affine geometry in one resampling, then brightness and contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.nn import functional

from mritk_augment.draws import sent, uniforms
from mritk_augment.pose import random_poses


@dataclass(frozen=True)
class AffineRanges:
    """Half-widths of the uniform draws, one draw per image and parameter.

    Attributes:
        rotation: Degrees; of volumes, about each axis.
        shift: Share of the image's side, for each axis.
        shear: Tangent of the shear angle; volumes are not sheared.
        zoom: Magnification is 1 ± zoom.
        brightness: Added to pixels in [0, 1].
        contrast: Pixels keep their distance to the image mean, times 1 ± contrast.
    """

    rotation: float = 10.0
    shift: float = 0.08
    shear: float = 0.08
    zoom: float = 0.1
    brightness: float = 0.1
    contrast: float = 0.15


USUAL = AffineRanges()
# Number of axes of a batch of volumes.
VOLUMES = 5


def affine(
    images: torch.Tensor, generator: torch.Generator, ranges: AffineRanges = USUAL
) -> torch.Tensor:
    """Return (N, C, *spatial) images or volumes in [0, 1], moved and then changed in intensity.

    Rotation, shear, zoom and shift are composed into one matrix per image, so each pixel is
    interpolated once (linearly; black outside).
    """
    drawn = random_matrices(images, generator, ranges)
    brighter, steeper = uniforms(images, generator, ranges.brightness, ranges.contrast)
    matrices, brightness, contrast = sent(images, drawn, brighter, 1 + steeper)
    shape = (-1, *[1] * (images.ndim - 1))
    moved = resample(images, matrices)
    mean = moved.mean(dim=tuple(range(1, images.ndim)), keepdim=True)
    moved = torch.lerp(mean, moved, contrast.reshape(shape))
    return moved.add_(brightness.reshape(shape)).clamp_(0, 1)


def random_matrices(
    images: torch.Tensor, generator: torch.Generator, ranges: AffineRanges
) -> torch.Tensor:
    """Draw a float32 (N, 2, 3) matrix on the CPU for each image, for :func:`resample`.

    Of volumes (N, 3, 4), see :func:`mritk_augment.pose.random_poses`.
    """
    if images.ndim == VOLUMES:
        return rigid_on_oblong(random_poses(images, generator, ranges), images)
    widths = (math.radians(ranges.rotation), ranges.shear, ranges.zoom, ranges.shift, ranges.shift)
    angle, shear, zoom, x, y = uniforms(images, generator, *widths)
    matrices = compose(angle=angle, shear=shear, zoom=1 + zoom, shift_x=2 * x, shift_y=2 * y)
    return rigid_on_oblong(matrices, images)


def rigid_on_oblong(matrices: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Change (…, 2, 3) or (…, 3, 4) matrices in place, so that a rotation does not shear.

    Positions are shares of the sides, which may be of different lengths.
    """
    # In the order x, y, z: the last axis first.
    shape = images.shape[:1:-1]
    if len(set(shape)) == 1:
        return matrices
    sides = torch.tensor(shape).to(matrices)
    matrices[..., :-1] *= sides / sides.unsqueeze(1)
    return matrices


def compose(
    *,
    angle: torch.Tensor,
    shear: torch.Tensor,
    zoom: torch.Tensor,
    shift_x: torch.Tensor,
    shift_y: torch.Tensor,
) -> torch.Tensor:
    """Return (N, 2, 3) matrices that take output to input positions in [-1, 1].

    The linear part is rotation · shear / zoom; shifts are in half sides.
    """
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    first = [cos, cos * shear - sin, shift_x]
    second = [sin, sin * shear + cos, shift_y]
    return torch.stack([*first, *second], dim=-1).reshape(-1, 2, 3)


def resample(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Sample (N, C, *spatial) images at positions given by (N, 2, 3) or (N, 3, 4) matrices.

    Positions run from -1 to 1. The grid of images is an outer sum of a column and a row;
    ``affine_grid`` computes the same as a batched product of very thin matrices, which takes longer
    than the sampling.
    """
    if images.ndim == VOLUMES:
        grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    else:
        height, width = images.shape[-2:]
        x = centres(width, images).reshape(1, 1, width, 1)
        y = centres(height, images).reshape(1, height, 1, 1)
        columns = matrices.reshape(-1, 1, 1, 2, 3)
        grid = columns[..., 0] * x + (columns[..., 1] * y + columns[..., 2])
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def centres(count: int, like: torch.Tensor) -> torch.Tensor:
    """Return the positions of ``count`` pixel centres on an axis from -1 to 1."""
    return _centres(count, like.dtype).to(like.device, non_blocking=True)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # made while evaluating, it could not be trained through
def _centres(count: int, dtype: torch.dtype) -> torch.Tensor:
    return (2 * torch.arange(count, dtype=dtype) + 1) / count - 1
