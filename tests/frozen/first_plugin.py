"""A plugin as it was written for the first release; it is never changed, and must always work."""

from __future__ import annotations

import numpy as np

from mritk import (
    Alias,
    Architecture,
    Augmentation,
    Classification,
    Dataset,
    InputContract,
    Samples,
    hookimpl,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 32, 32), dtype=np.uint8)


def build():
    from torch import nn

    return nn.Sequential(nn.Conv2d(1, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def open_images(workspace):
    return Samples(
        ids=[f"image-{i:02d}" for i in range(24)],
        targets=np.arange(24) // 2 % 2,
        task=Classification(("a", "b")),
        read=lambda i: IMAGES[i],
        patients=[f"patient-{i // 2:02d}" for i in range(24)],
        sites=["left", "right"] * 12,
        sources=["made up"] * 24,
    )


def darken(images, generator):
    return images * 0.9


@hookimpl
def mritk_backbones():
    yield Architecture("first_net", build, InputContract(32, (0.5,), (0.5,)), summary="a net")
    yield Alias("first", "first_net@scratch")


@hookimpl
def mritk_datasets():
    yield Dataset("first_images", open_images, sources=("made up",), license="CC0-1.0")


@hookimpl
def mritk_augmentations():
    yield Augmentation("first_darken", darken)
