"""Motion: the head moves while the lines of k-space are measured."""

from __future__ import annotations

import math

import torch

from mritk_augment.affine import VOLUMES, compose, resample, rigid_on_oblong
from mritk_augment.draws import between
from mritk_augment.kspace import along_drawn_axis, line_numbers, over_lines
from mritk_augment.pose import posed, rotations
from mritk_augment.precision import at_least_single


def motion(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    rotation: float = 5.0,
    shift: float = 0.03,
    still: tuple[float, float] = (0.05, 0.35),
) -> torch.Tensor:
    """Put the k-space of (N, C, *spatial) images together from three rigid positions.

    The lines are measured in order. The head comes to rest some lines before the centre of k-space
    and moves again some lines after it (as in Shaw et al. 2019, with two movements), so that the
    image keeps its place and its mean, and the edges repeat.

    Args:
        images: In [0, 1].
        generator: Draws two positions, two times and the axis for each image.
        rotation: Half-width of the draws in degrees.
        shift: Half-width of the draws as a share of the side, for each axis.
        still: Range of the two times, as shares of all lines from the centre.
    """
    count = len(images)
    moves = 2 * count
    turn = math.radians(rotation)
    volumes = images.ndim == VOLUMES
    angles = [between(moves, generator, -turn, turn) for _ in range(3 if volumes else 1)]
    shifts = [between(moves, generator, -shift, shift) for _ in images.shape[2:]]
    times = between(moves, generator, *still).reshape(count, 2)
    if volumes:
        poses = posed(rotations(*angles), *shifts)
    else:
        none, (x, y) = torch.zeros(moves), shifts
        poses = compose(angle=angles[0], shear=none, zoom=none + 1, shift_x=2 * x, shift_y=2 * y)
    poses = poses.reshape(count, 2, *poses.shape[1:])

    def move(part: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return interrupt(part, poses[rows], times[rows])

    moved = along_drawn_axis(at_least_single(images), generator, move)
    return moved.clamp(0, 1).to(images.dtype)


def interrupt(images: torch.Tensor, poses: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Take early and late lines of (N, C, *spatial) images from other poses; return magnitudes.

    Args:
        images: The head at rest.
        poses: (N, 2, 2, 3) or (N, 2, 3, 4) matrices for square pixels: before and after the time at
            rest.
        times: (N, 2) shares of all lines between the centre and the two movements.
    """
    # On the CPU, where the poses are drawn: the host waits for no GPU.
    matrices = rigid_on_oblong(poses.to(images.dtype, copy=True), images)
    matrices = matrices.to(images, non_blocking=True)
    limits = (times * images.shape[-2]).to(images, non_blocking=True)
    lines = line_numbers(images)
    early, late = lines < -limits[:, :1], lines > limits[:, 1:]
    # Only what differs from rest is transformed: no movement leaves the image untouched.
    before, after = (
        torch.fft.fft(resample(images, matrices[:, pose]) - images, dim=-2) for pose in (0, 1)
    )
    changed = before * over_lines(early, images) + after * over_lines(late, images)
    return (images + torch.fft.ifft(changed, dim=-2)).abs()
