"""Augmentations of 2-D images as batched tensor functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mritk import Augmentation, hookimpl

if TYPE_CHECKING:
    import torch


# Since the second, ghosts leave the mean as it is, and stripes are magnitudes.
REVISION = 2


@hookimpl
def mritk_augmentations() -> Iterator[Augmentation]:
    """Yield the general augmentations, the published policies, then what happens in a scanner."""
    yield Augmentation("none", None, spatial_dims=(2, 3), summary="identity")
    yield Augmentation("flip", apply_flip, spatial_dims=(2, 3), summary="flips half of the images")
    yield Augmentation(
        "affine",
        apply_affine,
        summary="rotation, shift, shear, zoom in one resampling; brightness, contrast",
    )
    yield Augmentation(
        "rand_augment",
        apply_rand_augment,
        summary="RandAugment: 2 of 14 operations at magnitude 9 of 30",
    )
    yield Augmentation(
        "trivial_augment",
        apply_trivial_augment,
        summary="TrivialAugment (wide): 1 of 14 operations at any magnitude",
    )
    yield Augmentation(
        "mri",
        apply_mri,
        revision=REVISION,
        summary="flip, small affine, gamma, bias field, noise; an artefact in 2 of 5 images",
    )
    yield Augmentation(
        "bias_field", apply_bias_field, summary="smooth shading, as from receive coils"
    )
    yield Augmentation(
        "rician_noise",
        apply_rician_noise,
        spatial_dims=(2, 3),
        summary="Rician noise of magnitude images",
    )
    yield Augmentation("gamma", apply_gamma, spatial_dims=(2, 3), summary="random gamma correction")
    yield Augmentation(
        "ghosting", apply_ghosting, revision=REVISION, summary="ghosts along one axis"
    )
    yield Augmentation("motion", apply_motion, summary="head motion, twice during the scan")
    yield Augmentation(
        "spike",
        apply_spike,
        revision=REVISION,
        summary="stripes from a single k-space spike",
    )
    yield Augmentation("anisotropy", apply_anisotropy, summary="lower resolution along one axis")


def apply_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.flip.flip`."""
    from mritk_augment.flip import flip

    return flip(images, generator)


def apply_affine(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.affine.affine`."""
    from mritk_augment.affine import AffineRanges, affine

    return affine(images, generator, AffineRanges())


def apply_rand_augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.rand_augment.rand_augment`."""
    from mritk_augment.rand_augment import rand_augment

    return rand_augment(images, generator)


def apply_trivial_augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.trivial_augment.trivial_augment`."""
    from mritk_augment.trivial_augment import trivial_augment

    return trivial_augment(images, generator)


def apply_mri(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.mri.mri`."""
    from mritk_augment.mri import mri

    return mri(images, generator)


def apply_bias_field(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.bias_field.bias_field`."""
    from mritk_augment.bias_field import bias_field

    return bias_field(images, generator)


def apply_rician_noise(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.rician_noise.rician_noise`."""
    from mritk_augment.rician_noise import rician_noise

    return rician_noise(images, generator)


def apply_gamma(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.gamma.gamma`."""
    from mritk_augment.gamma import gamma

    return gamma(images, generator)


def apply_ghosting(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.ghosting.ghosting`."""
    from mritk_augment.ghosting import ghosting

    return ghosting(images, generator)


def apply_motion(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.motion.motion`."""
    from mritk_augment.motion import motion

    return motion(images, generator)


def apply_spike(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.spike.spike`."""
    from mritk_augment.spike import spike

    return spike(images, generator)


def apply_anisotropy(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.anisotropy.anisotropy`."""
    from mritk_augment.anisotropy import anisotropy

    return anisotropy(images, generator)
