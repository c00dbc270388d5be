"""Augment a batch; before z-scores, what is outside of the head stays 0."""

from __future__ import annotations

import torch

from mritk.machine.seeding import seed_draws
from mritk.method import Setup


def augmented(images: torch.Tensor, setup: Setup, drawn: int, ambient: int) -> torch.Tensor:
    """Return a batch as the augmentation of a trial changes it.

    Z-scores (``InputContract(intensity="zscore")``) are those of what is not 0. Brightness or noise
    that is added everywhere would make air a part of the head, and shift and shrink all scores of
    the images that it happens to. So what was 0 is 0 afterwards, where the augmentation has moved
    it; that is seen by the same draws on a mask. nnU-Net masks likewise, behind its augmentation.

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
    inside = images != 0
    return torch.where(_outside(inside, applied(inside.to(images))), 0, applied(images))


def _outside(inside: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Return where nothing of a mask (N, C, *spatial) has been moved to, as bool.

    ``moved`` is the mask as an image that was augmented: shaded and noisy, so that it is told by
    the middle between its extremes. Nowhere, in a channel of an image that has no outside, or
    whose mask an augmentation of photographs has made one even grey.
    """
    axes = tuple(range(2, moved.ndim))
    low, high = moved.amin(dim=axes, keepdim=True), moved.amax(dim=axes, keepdim=True)
    known = (high > low) & (inside.sum(dim=axes, keepdim=True) < inside[0, 0].numel())
    return known & (moved <= (low + high) / 2)
