"""Augment a batch; before z-scores, what is outside of the head stays 0."""

from __future__ import annotations

import torch

from mritk.errors import AugmentationFault
from mritk.machine.seeding import seed_draws
from mritk.method import Setup
from mritk.records import Augmentation

# Air is 0, as around a head without its skull, if so much of an image is; else 0 is a value of the
# scanner's noise among others, and all of the image has its part in the scores.
AIR = 0.1


def augmented(images: torch.Tensor, setup: Setup, drawn: int, ambient: int) -> torch.Tensor:
    """Return a batch as the augmentation of a trial changes it.

    Z-scores (``InputContract(intensity="zscore")``) are those of what is not 0. Brightness or noise
    that is added everywhere would make air a part of the head, and shift and shrink all scores of
    the images that it happens to. So where air is 0, it is 0 afterwards, and so is what has come in
    from beyond the image. nnU-Net masks likewise, behind its augmentation.

    Args:
        images: (N, C, *spatial) in [0, 1], on the device.
        setup: The trial, with an augmentation.
        drawn: Seed of the generator that the augmentation is given.
        ambient: Seed of torch's own generators, for augmentations that use no other.

    Returns:
        Of the same shape, dtype and device.

    Raises:
        AugmentationFault: The augmentation returns something else.
    """
    apply = setup.augmentation.apply
    assert apply is not None

    def applied(batch: torch.Tensor) -> torch.Tensor:
        seed_draws(ambient, batch.device)
        kind = _kind(batch)  # now, as it may be changed in place
        found = apply(batch, torch.Generator().manual_seed(drawn))
        if _kind(found) != kind:
            told = f"returned {_kind(found)} for a batch of {kind}"
            raise fault_of(setup.augmentation, told)
        return found

    if setup.require_backbone().input.intensity != "zscore":
        return applied(images)
    around = [*images.shape[:2], *[1] * (images.ndim - 2)]
    head = images != 0
    masked = (head.flatten(2).sum(dim=2) < (1 - AIR) * images[0, 0].numel()).reshape(around)
    # Of a GPU the host does not ask: it would wait for the answer in each step.
    if images.device.type == "cpu" and not masked.any():
        return applied(images)
    # Where the head has been moved to, its mask tells by the same draws; shading and noise are told
    # from it by what becomes of an even image, and of none.
    mask, full, empty = map(
        applied, (head.to(images), torch.ones_like(images), torch.zeros_like(images))
    )
    span = full - empty
    inside = (span > 0) & (mask - empty > span / 2)
    # An augmentation of photographs may leave nothing of a mask, by inverting it, say.
    masked &= inside.flatten(2).any(dim=2).reshape(around)
    return torch.where(inside | ~masked, applied(images), 0)


def _kind(found: object) -> str:
    if not isinstance(found, torch.Tensor):
        return type(found).__name__
    return f"{found.dtype} {tuple(found.shape)} on {found.device}"


def fault_of(augmentation: Augmentation, fault: str) -> AugmentationFault:
    """Return the error that tells a fault of an augmentation, which else would be the method's."""
    return AugmentationFault(
        f"augmentation {augmentation.name} of {augmentation.origin} {fault}; it must return finite "
        "pixels in the shape and dtype, and on the device, of its batch"
    )
