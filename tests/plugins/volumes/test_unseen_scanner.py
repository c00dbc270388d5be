"""On a scanner that it has never seen, a 3-D network is better than a linear model and the mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mritk import Augmentation, Regression, Samples, Setup, Subset
from mritk.method import SelectionRule
from mritk.protocol.recipe import Recipe, Stage
from mritk.train import finetune
from mritk_volumes.voxels import VoxelRecipe, fit_voxels

SIDE = 16
# Gain, how much brighter the far end is, and the ventricle's contrast, of the two scanners to learn
# from and of the unseen one.
SCANNERS = {"one": (0.9, 0.0, -0.5), "two": (0.7, 0.3, 0.25), "unseen": (0.6, 0.15, -0.45)}


def draw_heads(count: int = 60) -> Samples:
    """Heads with a ventricle near the middle, whose radius is the target: dark, or bright.

    So neither a voxel nor a sum of voxels tells it on every scanner; the place of its edge does.
    """
    rng = np.random.default_rng(0)
    axis = np.arange(SIDE) - (SIDE - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
    volumes, radii, sites = [], [], []
    for site, (gain, slope, contrast) in SCANNERS.items():
        for _ in range(count):
            radius, centre = rng.uniform(1.5, 4.0), rng.uniform(-2.5, 2.5, (3, 1, 1, 1))
            tissue = np.where((grid**2).sum(0) < 7.5**2, 0.8, 0.0)
            distance = np.sqrt(((grid - centre) ** 2).sum(0))
            tissue += contrast / (1 + np.exp(4 * (distance - radius))) * (tissue > 0)
            shade = gain * (1 + slope * grid[0] / SIDE)
            noise = rng.normal(0, 0.02, tissue.shape) * (tissue > 0)
            volumes.append((255 * (tissue * shade + noise)).clip(0, 255).astype(np.uint8))
            radii.append(radius)
            sites.append(site)
    return Samples(
        [f"{site}-{i:03d}" for i, site in enumerate(sites)],
        np.array(radii),
        Regression("mm"),
        lambda i: volumes[i],
        spatial_dims=3,
        sites=sites,
    )


@pytest.mark.slow
def test_the_network_beats_ridge_regression_and_the_mean(registry, workspace):
    samples = draw_heads()
    rows = np.arange(len(samples))
    known = np.array(samples.sites) != "unseen"
    chosen = (known & (rows % 4 > 0), known & (rows % 4 == 0), ~known)
    train, val, test = (Subset.of(samples, np.flatnonzero(part), workspace) for part in chosen)

    def errors(fit, parameters, backbone=None):
        setup = Setup(
            parameters=parameters,
            task=samples.task,
            train=train,
            val=val,
            augmentation=Augmentation("none", None),
            seed=0,
            workspace=workspace,
            backbone=backbone,
            selection=SelectionRule("val"),
        )
        return np.abs(fit(setup).predict(test) - test.targets)

    stage = Stage(epochs=10, learning_rate=3e-3, warmup=0.1)
    network = errors(
        finetune, Recipe(stages=(stage,), batch_size=10), registry.backbone("tiny_densenet")
    )
    linear = errors(fit_voxels, VoxelRecipe())
    mean = np.abs(train.targets.mean() - test.targets)
    for better, worse in ((network, linear), (network, mean)):
        interval = stats.bootstrap((worse - better,), np.mean, random_state=0).confidence_interval
        assert interval.low > 0
    assert network.mean() < 0.7 * linear.mean()
