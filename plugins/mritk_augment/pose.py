"""The pose of volumes: rotation about each axis, zoom and shift in one matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mritk_augment.draws import uniforms

if TYPE_CHECKING:
    from mritk_augment.affine import AffineRanges


def random_poses(
    volumes: torch.Tensor, generator: torch.Generator, ranges: AffineRanges
) -> torch.Tensor:
    """Draw a float32 (N, 3, 4) matrix on the CPU for each volume.

    See :func:`mritk_augment.affine.resample`.
    """
    half_widths = 3 * [math.radians(ranges.rotation)] + [ranges.zoom] + 3 * [ranges.shift]
    *angles, zoom, x, y, z = uniforms(volumes, generator, *half_widths)
    turned = rotations(*angles) / (1 + zoom).reshape(-1, 1, 1)
    return posed(turned, x, y, z)


def posed(turned: torch.Tensor, *shifts: torch.Tensor) -> torch.Tensor:
    """Return (N, 3, 4) matrices of (N, 3, 3) rotations and (N,) shifts in shares of the sides."""
    return torch.cat([turned, 2 * torch.stack(shifts, dim=1).unsqueeze(2)], dim=2)


def rotations(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Return (N, 3, 3) rotations about x, then y, then z, by (N,) angles in radians."""
    turned = torch.eye(3, dtype=x.dtype, device=x.device).expand(len(x), 3, 3)
    for angle, (first, second) in ((x, (1, 2)), (y, (2, 0)), (z, (0, 1))):
        one = torch.eye(3, dtype=x.dtype, device=x.device).repeat(len(x), 1, 1)
        cos, sin = torch.cos(angle), torch.sin(angle)
        one[:, first, first], one[:, second, second] = cos, cos
        one[:, first, second], one[:, second, first] = -sin, sin
        turned = one @ turned
    return turned
