"""Three coloured sites to learn from and one unseen, and fine-tunings on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

from mritk import (
    Architecture,
    Augmentation,
    Classification,
    InputContract,
    Samples,
    Setup,
    Subset,
    Workspace,
)
from mritk.backbone import Backbone
from mritk.protocol.recipe import Stage
from mritk_domains.recipe import DomainRecipe

SIDE, EACH = 12, 48
# Colour, and by how much brighter the second class is: a hint that the unseen site turns round.
SOURCES = {"blue": ((0.4, 0.5, 1.0), 25), "green": ((0.5, 1.0, 0.4), 15), "red": ((1, 0.5, 0.4), 5)}
UNSEEN = {"yellow": ((1.0, 1.0, 0.5), -15)}
HALF = (0.5, 0.5, 0.5)


def draw_sites() -> Samples:
    """Noise whose upper or lower half is brighter, in the colours of four sites."""
    rng = np.random.default_rng(0)
    images, sites = [], []
    for site, (colour, hint) in {**SOURCES, **UNSEEN}.items():
        for row in range(EACH):
            target = row % 2
            grey = rng.integers(20, 120, (SIDE, SIDE)).astype(np.float64) + hint * target
            grey[6 * target : 6 * target + 6] += 35
            # What the class does not depend on: exposure, and shade from one side.
            grey *= rng.uniform(0.5, 1.5) * np.linspace(*rng.uniform(0.5, 1.5, 2), SIDE)
            images.append((grey[..., None] * colour).clip(0, 255).astype(np.uint8))
            sites.append(site)
    return Samples(
        [f"{site}-{row:03d}" for row, site in enumerate(sites)],
        np.arange(len(images)) % 2,
        Classification(("top", "bottom")),
        lambda row: images[row],
        sites=sites,
    )


def build_small() -> nn.Module:
    """Two convolutions, then pooled halves: 32 features."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten()),
    )


ROWS = np.arange(4 * EACH)
TEST = ROWS[3 * EACH :]
VAL = ROWS[: 3 * EACH][ROWS[: 3 * EACH] % 6 >= 4]
TRAIN = ROWS[: 3 * EACH][ROWS[: 3 * EACH] % 6 < 4]


def make_setup(workspace: Workspace, samples=None, *, setup=None, epochs=2, **parameters) -> Setup:
    """Return the setup of a fine-tuning on the three sites."""
    samples = samples or draw_sites()
    chosen = {"stages": (Stage(epochs=epochs, learning_rate=1e-2),), "batch_size": 24, **parameters}
    fields = {
        "parameters": DomainRecipe(**chosen),
        "task": samples.task,
        "train": Subset.of(samples, TRAIN, workspace),
        "val": Subset.of(samples, VAL, workspace),
        "augmentation": Augmentation("none", None),
        "seed": 0,
        "workspace": workspace,
        "backbone": Backbone(Architecture("small", build_small, InputContract(SIDE, HALF, HALF))),
        "image_size": SIDE,
        **(setup or {}),
    }
    return Setup(**fields)


@pytest.fixture
def domains(workspace: Workspace) -> Callable[..., Setup]:
    """Make a setup; parameters are added, and fields of the setup."""

    def make(samples=None, **options) -> Setup:
        return make_setup(workspace, samples, **options)

    return make
