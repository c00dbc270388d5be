"""Ghosts: fainter copies along the phase-encode axis, from periodic changes between lines."""

from __future__ import annotations

import math

import torch

from mritk_augment.draws import between, per_image
from mritk_augment.kspace import along_drawn_axis, line_numbers, over_lines
from mritk_augment.precision import at_least_single


def ghosting(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    strength: float = 0.5,
    distance: tuple[float, float] = (0.1, 0.5),
) -> torch.Tensor:
    """Modulate the k-space lines of (N, C, *spatial) images as breathing or a pulse would.

    Args:
        images: In [0, 1].
        generator: Draws strength, distance, phase and axis for each image.
        strength: Upper end of the modulation's depth; a ghost has half of it.
        distance: Between image and ghost, as a share of the field of view: 1/n for a change that
            repeats every n lines. At 1/2 it is the Nyquist ghost of echo-planar imaging.
    """
    count = len(images)
    depths = between(count, generator, 0, strength)
    distances = between(count, generator, *distance)
    phases = between(count, generator, 0, 2 * math.pi)

    def ghosts(part: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return modulate(part, depths[rows], distances[rows], phases[rows])

    ghosted = along_drawn_axis(at_least_single(images), generator, ghosts)
    return ghosted.clamp(0, 1).to(images.dtype)


def modulate(
    images: torch.Tensor, depths: torch.Tensor, distances: torch.Tensor, phases: torch.Tensor
) -> torch.Tensor:
    """Multiply line k by 1 + depth · cos(2π k distance + phase), and take the magnitude.

    A cosine over the lines is a pair of copies, ``distance`` up and down (the shift theorem), each
    with half the depth. The central line stays as it is, as in TorchIO: it holds the mean, which a
    ghost does not change; so a copy is of what differs from the mean along the axis.
    """
    depth, distance, phase = (
        per_image(values, images.flatten(1)) for values in (depths, distances, phases)
    )
    wave = torch.cos(2 * math.pi * distance * line_numbers(images) + phase)
    wave[:, 0] = 0
    # One transform along the phase-encode axis is enough: the other would go there and back.
    ghosts = torch.fft.fft(images, dim=-2) * over_lines(depth * wave, images)
    return (images + torch.fft.ifft(ghosts, dim=-2)).abs()
