"""Volumes whose value is the radius of a bright ball, on two scanners, and setups on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mritk import Augmentation, Classification, Regression, Samples, Setup, Subset, Workspace
from mritk.backbone import Backbone
from mritk.plugins.registry import Registry
from mritk.testing.tiny import tiny_architecture

SIDE = 12
COUNT = 60
TRAIN, VAL, TEST = np.arange(30), np.arange(30, 45), np.arange(45, COUNT)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load(environ={})


def draw_balls(*, classes: bool = False) -> Samples:
    """Balls in noise, uint8 (12, 12, 12); with ``classes``, small and large ones."""
    rng = np.random.default_rng(0)
    radii = rng.uniform(1.5, 5.0, COUNT)
    axis = np.arange(SIDE) - (SIDE - 1) / 2
    distance = np.sqrt(sum(a**2 for a in np.meshgrid(axis, axis, axis)))
    noise = rng.integers(1, 60, (COUNT, SIDE, SIDE, SIDE))
    volumes = (noise + 150 * (distance < radii[:, None, None, None])).astype(np.uint8)
    return Samples(
        [f"ball-{i:02d}" for i in range(COUNT)],
        (radii > 3.2).astype(np.int64) if classes else radii,
        Classification(("small", "large")) if classes else Regression("mm"),
        lambda i: volumes[i],
        spatial_dims=3,
    )


@pytest.fixture
def balls(workspace: Workspace) -> Callable[..., Setup]:
    """Make a setup; parameters and fields of the setup are given."""

    def make(parameters: Any, *, classes: bool = False, **fields: Any) -> Setup:
        samples = draw_balls(classes=classes)
        given = {
            "parameters": parameters,
            "task": samples.task,
            "train": Subset.of(samples, TRAIN, workspace),
            "val": Subset.of(samples, VAL, workspace),
            "augmentation": Augmentation("none", None, spatial_dims=(3,)),
            "seed": 0,
            "workspace": workspace,
            "backbone": Backbone(tiny_architecture(3)),
            "volume_size": SIDE,
        }
        return Setup(**given | fields)

    return make


@pytest.fixture
def test_part(workspace: Workspace) -> Callable[..., Subset]:
    """Return the test part of the balls."""
    return lambda **options: Subset.of(draw_balls(**options), TEST, workspace)
