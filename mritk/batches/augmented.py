"""Augment a batch; before z-scores, what is outside of the head stays 0."""

from __future__ import annotations

import torch

from mritk.machine.seeding import seed_draws
from mritk.method import Setup


def augmented(images: torch.Tensor, setup: Setup, drawn: int, ambient: int) -> torch.Tensor:
    """Return a batch as the augmentation of a trial changes it.

    Z-scores (``InputContract(intensity="zscore")``) are those of what is not 0. Brightness or noise
    that is added everywhere would make air a part of the head, and shift and shrink all scores of
    the images that it happens to. So what was 0, or has come in from beyond the image, is 0
    afterwards. nnU-Net masks likewise, behind its augmentation.

    Args:
        images: (N, C, *spatial) in [0, 1], on the device.
        setup: The trial, with an augmentation.
        drawn: Seed of the generator that the augmentation is given.
        ambient: Seed of torch's own generators, for augmentations that use no other.

    Returns:
        Of the same shape and dtype.
    """
    apply = setup.augmentation.apply
    assert apply is not None

    def applied(batch: torch.Tensor) -> torch.Tensor:
        seed_draws(ambient, batch.device)
        return apply(batch, torch.Generator().manual_seed(drawn))

    if setup.require_backbone().input.intensity != "zscore":
        return applied(images)
    # Where the head has been moved to, its mask tells by the same draws; shading and noise are told
    # from it by what becomes of an even image, and of none.
    mask, full, empty = (
        applied(batch)
        for batch in ((images != 0).to(images), torch.ones_like(images), torch.zeros_like(images))
    )
    span = full - empty
    inside = (span > 0) & (mask - empty > span / 2)
    # An augmentation of photographs may leave nothing of a mask, by inverting it, say.
    told = inside.flatten(2).any(dim=2).reshape(*inside.shape[:2], *[1] * (inside.ndim - 2))
    return torch.where(inside | ~told, applied(images), 0)
