"""Lines of k-space: the scanner measures an image's Fourier transform line by line.

The phase-encode direction, along which lines are numbered, is the axis before the last here;
:func:`along_drawn_axis` lets it be either side of the image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from mritk_augment.draws import one_of
from mritk_augment.groups import apply_by_group


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
    """Let phase encoding run down half of the images and across the other half.

    Args:
        images: (N, C, H, W).
        generator: Draws the axes.
        artefact: Called as ``artefact(part, rows)`` with images whose phase-encode axis is the
            one before the last, and their row numbers in the batch (int64, CPU).
    """

    def across(part: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return artefact(part.mT, rows).mT

    return apply_by_group(images, one_of(len(images), generator, 2), [artefact, across])
