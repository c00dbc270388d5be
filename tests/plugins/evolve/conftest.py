"""Blobs to find, and evolutions that look for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

from mritk import Architecture, Augmentation, Classification, InputContract, Samples, Setup, Subset
from mritk.backbone import Backbone
from mritk_evolve.parameters import Evolution

SIDE, TRAIN, VAL, TEST = 32, range(60), range(60, 80), range(80, 140)
SITES = ("home", "home", "home", "away")


@pytest.fixture(scope="session")
def blobs() -> Samples:
    """140 images of noise; every other one holds a bright blob somewhere."""
    rng = np.random.default_rng(0)
    targets = np.arange(140) % 2
    images = rng.integers(0, 100, (140, SIDE, SIDE)).astype(np.float64)
    places = np.mgrid[:SIDE, :SIDE]
    for row in np.flatnonzero(targets):
        centre = rng.uniform(8, 24, 2)[:, None, None]
        images[row] += 155 * np.exp(-((places - centre) ** 2).sum(axis=0) / 32)
    images = images.clip(0, 255).astype(np.uint8)
    return Samples(
        [f"image-{i:03d}" for i in range(140)],
        targets,
        Classification(("none", "blob")),
        lambda i: images[i],
        sites=[SITES[i // 2 % 4] for i in range(140)],
    )


def build_small() -> nn.Module:
    """Three convolutions and no BatchNorm."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU()),
        *(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten()),
    )


@pytest.fixture
def evolution(blobs: Samples, workspace) -> Callable[..., Setup]:
    """Make the setup of a short evolution; parameters are added, and fields of the setup."""

    def make(build: Callable[[], nn.Module] = build_small, setup=None, **parameters) -> Setup:
        chosen = {"epochs": 3, "report_every": 5, "population": 12, "elite": 3, **parameters}
        fields = {
            "parameters": Evolution(**chosen),
            "task": blobs.task,
            "train": Subset.of(blobs, TRAIN, workspace),
            "val": Subset.of(blobs, VAL, workspace),
            "augmentation": Augmentation("none", None),
            "seed": 0,
            "workspace": workspace,
            "backbone": Backbone(
                Architecture("small", build, InputContract(SIDE, (0.5,), (0.25,)))
            ),
            "image_size": SIDE,
            **(setup or {}),
        }
        return Setup(**fields)

    return make


@pytest.fixture
def unseen(blobs: Samples, workspace) -> Subset:
    """Images that no evolution sees."""
    return Subset.of(blobs, TEST, workspace)
