"""Augmentations of 2-D images as batched tensor functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mritk import Augmentation, hookimpl

if TYPE_CHECKING:
    import torch


@hookimpl
def mritk_augmentations() -> Iterator[Augmentation]:
    """Yield ``none``, ``flip`` and ``affine``."""
    yield Augmentation("none", None, spatial_dims=(2, 3), summary="images stay as they are")
    yield Augmentation(
        "flip", apply_flip, spatial_dims=(2, 3), summary="mirrors half of the images"
    )
    yield Augmentation(
        "affine",
        apply_affine,
        summary="rotation, shift, shear, zoom in one resampling; brightness, contrast",
    )


def apply_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.flip.flip`."""
    from mritk_augment.flip import flip

    return flip(images, generator)


def apply_affine(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """See :func:`mritk_augment.affine.affine`."""
    from mritk_augment.affine import AffineRanges, affine

    return affine(images, generator, AffineRanges())
