"""Two scanners that differ in gain and in a bright corner; the class is a shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mritk import Augmentation, Classification, Samples, Setup, Subset, Workspace
from mritk_fader.recipe import FaderRecipe

SIDE, COUNT = 16, 240
SITES = ("north", "south")


def draw_shapes() -> Samples:
    """Discs and crosses of random size and place, from two sites."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    images, targets, sites = [], np.arange(COUNT) % 2, []
    for row in range(COUNT):
        centre, size = rng.uniform(6, 9, 2), rng.uniform(2.5, 4.5)
        dy, dx = np.abs(y - centre[0]), np.abs(x - centre[1])
        disc = dy**2 + dx**2 < size**2
        cross = (np.minimum(dy, dx) < 0.8) & (np.maximum(dy, dx) < size * 1.2)
        image = 60 + 100 * (disc if targets[row] else cross) + rng.normal(0, 8, (SIDE, SIDE))
        south = row // 2 % 2
        if south:
            image[:3, :3] = 150
            image = 0.6 * image
        images.append(image.clip(1, 255).astype(np.uint8))
        sites.append(SITES[south])
    return Samples(
        [f"scan-{row:03d}" for row in range(COUNT)],
        targets,
        Classification(("cross", "disc")),
        lambda row: images[row],
        sites=sites,
        patients=[f"p{row:03d}" for row in range(COUNT)],
    )


TRAIN, VAL, TEST = np.arange(120), np.arange(120, 160), np.arange(160, COUNT)


def make_setup(workspace: Workspace, samples=None, *, setup=None, **parameters) -> Setup:
    """Return the setup of a short training."""
    samples = samples or draw_shapes()
    chosen = {
        "epochs": 2,
        "width": 8,
        "levels": 2,
        "batch_size": 24,
        "learning_rate": 2e-3,
        "adversary_rate": 2e-3,
        **parameters,
    }
    fields = {
        "parameters": FaderRecipe(**chosen),
        "task": samples.task,
        "train": Subset.of(samples, TRAIN, workspace),
        "val": Subset.of(samples, VAL, workspace),
        "augmentation": Augmentation("none", None),
        "seed": 0,
        "workspace": workspace,
        "image_size": SIDE,
        **(setup or {}),
    }
    return Setup(**fields)


@pytest.fixture
def shapes(workspace: Workspace) -> Callable[..., Setup]:
    """Make a setup; parameters are added, and fields of the setup."""

    def make(samples=None, **options) -> Setup:
        return make_setup(workspace, samples, **options)

    return make
