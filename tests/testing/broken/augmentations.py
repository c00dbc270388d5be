"""Augmentations that break one promise each; they are named after it. ``good`` breaks none."""

from __future__ import annotations

from functools import partial

import torch

from mritk import Augmentation, hookimpl


def _strength(images, generator):
    drawn = torch.rand(len(images), generator=generator).to(images)
    return drawn.reshape(-1, *[1] * (images.ndim - 1))


def good(images, generator):
    return (images + 0.1 * _strength(images, generator)).clamp(0, 1)


def halves_the_precision(images, generator):
    return good(images, generator).half()


def standardises(images, generator):
    return 5 * good(images, generator) - 2.5


def draws_once(images, generator):
    return images * (1 - 0.1 * torch.rand(1, generator=generator).to(images))


def takes_square_images_only(images, generator):
    return (images + 0.1 * _strength(images, generator) * images.transpose(-1, -2)).clamp(0, 1)


def draws_from_the_global_state(images, generator):
    return (images + 0.1 * torch.rand(images.shape)).clamp(0, 1)


def mixes_images(images, generator):
    return 0.7 * images + 0.3 * images.roll(1, 0)


def works_in_place(images, generator):
    return images.mul_(1 - 0.1 * _strength(images, generator))


@hookimpl
def mritk_augmentations():
    plain = partial(Augmentation, spatial_dims=(2,), summary="breaks one promise")
    yield plain("good", good)
    yield plain("keeps_shape_dtype_and_device", halves_the_precision)
    yield plain("values_stay_those_of_pixels", standardises)
    yield plain("draws_for_each_image", draws_once)
    yield plain("takes_every_batch_it_declares", takes_square_images_only)
    yield plain("is_a_function_of_its_generator", draws_from_the_global_state)
    yield plain("keeps_images_apart", mixes_images)
    yield plain("leaves_its_input_alone", works_in_place)
    yield plain("is_sent_to_workers", lambda *given: good(*given))  # noqa: PLW0108
