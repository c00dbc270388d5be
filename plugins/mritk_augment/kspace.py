"""Lines of k-space: the scanner measures an image's Fourier transform line by line.

The phase-encode direction, along which lines are numbered, is the axis before the last here;
:func:`along_drawn_axis` lets it be any side of the image or volume.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from mritk_augment.draws import one_of
from mritk_augment.groups import Branch, apply_by_group


def line_numbers(images: torch.Tensor) -> torch.Tensor:
    """Return (H,) numbers of k-space lines in FFT order: 0, 1, …, then the negative ones.

    They are in cycles per field of view, on the images' device and in their dtype.
    """
    height = images.shape[-2]
    return torch.fft.fftfreq(height, d=1 / height, device=images.device, dtype=images.dtype)


def along_drawn_axis(
    images: torch.Tensor,
    generator: torch.Generator,
    artefact: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Let phase encoding run along each axis in as many images: down, across, in volumes through.

    Args:
        images: (N, C, *spatial).
        generator: Draws the axes.
        artefact: Called as ``artefact(part, rows)`` with images whose phase-encode axis is the
            one before the last, and their row numbers in the batch (int64, CPU).
    """

    def along(axis: int) -> Branch:
        return lambda part, rows: artefact(part.transpose(axis, -2), rows).transpose(axis, -2)

    axes = (-2, -1, -3)[: images.ndim - 2]
    group = one_of(len(images), generator, len(axes))
    return apply_by_group(images, group, [along(axis) for axis in axes])


def over_lines(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return (N, H) values, one for each line, in a shape that multiplies (N, C, *spatial)."""
    return values.reshape(len(values), *[1] * (images.ndim - 3), -1, 1)
