"""What differs from scan to scan: position, tone, shading, noise, now and then an artefact."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mritk_augment.affine import AffineRanges, random_matrices, resample
from mritk_augment.anisotropy import anisotropy
from mritk_augment.bias_field import bias_field
from mritk_augment.draws import between, one_of, sent
from mritk_augment.gamma import gamma
from mritk_augment.ghosting import ghosting
from mritk_augment.groups import Branch, apply_by_group
from mritk_augment.motion import motion
from mritk_augment.precision import at_least_single
from mritk_augment.rician_noise import rician_noise
from mritk_augment.spike import spike

ARTEFACTS = (anisotropy, motion, ghosting, spike)
POSITION = AffineRanges(
    rotation=10.0, shift=0.05, shear=0.03, zoom=0.1, brightness=0.0, contrast=0.0
)


def mri(images: torch.Tensor, generator: torch.Generator, *, artefact: float = 0.1) -> torch.Tensor:
    """Vary (N, C, *spatial) images as scans vary.

    Every image is mirrored (or not), moved in one resampling, and gets its own gamma, bias field
    and Rician noise. At most one artefact is added, each of the four with probability
    ``artefact``; noise comes last, as it does not depend on the object.
    """
    lot = between(len(images), generator, 0, 1)
    mirror = 1 - 2 * one_of(len(images), generator, 2)
    pixels = at_least_single(images)
    matrices = random_matrices(pixels, generator, POSITION)
    matrices[..., 0] *= mirror[:, None]
    pixels = resample(pixels, *sent(pixels, matrices)).clamp_(0, 1)
    pixels = bias_field(gamma(pixels, generator), generator)
    # Group 0 goes without; the lot falls on artefact g in [(g - 1) p, g p).
    group = (lot / artefact).long() + 1 if artefact else torch.zeros(len(images)).long()
    group[group > len(ARTEFACTS)] = 0
    branches = [None, *(without_rows(add, generator) for add in ARTEFACTS)]
    pixels = apply_by_group(pixels, group, branches)
    return rician_noise(pixels, generator).to(images.dtype)


def without_rows(
    add: Callable[[torch.Tensor, torch.Generator], torch.Tensor], generator: torch.Generator
) -> Branch:
    """Return an augmentation as a branch: it draws for its part alone."""
    return lambda part, _: add(part, generator)
