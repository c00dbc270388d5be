"""Linear models on voxels: scikit-learn's, however many voxels there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from mritk import DataError, Subset, UsageError
from mritk.images.stored_images import StoredImages
from mritk.method import SelectionRule
from mritk.testing import check_method
from mritk_volumes import voxels
from mritk_volumes.voxels import Blocks, VoxelRecipe, fit_voxels, gram
from tests.plugins.volumes.conftest import TEST, TRAIN, VAL, draw_balls

LAST = SelectionRule("last")


def plain_voxels(samples, rows, *, zscore: bool = False) -> np.ndarray:
    """(N, V) float64, divided by √V."""
    found = np.stack([samples.read(i) for i in rows]).reshape(len(rows), -1) / 255
    if zscore:
        found = (found - found.mean(axis=1, keepdims=True)) / found.std(axis=1, keepdims=True)
    return found / np.sqrt(found.shape[1])


@pytest.mark.parametrize("intensity", ["unit", "zscore"])
def test_it_is_scikit_learns_ridge_regression(balls, test_part, intensity):
    samples = draw_balls()
    recipe = VoxelRecipe(penalties=(0.003,), intensity=intensity)
    found = fit_voxels(balls(recipe, selection=LAST, backbone=None)).predict(test_part())
    train, test = (
        plain_voxels(samples, rows, zscore=intensity == "zscore") for rows in (TRAIN, TEST)
    )
    expected = Ridge(alpha=0.003, solver="cholesky").fit(train, samples.targets[TRAIN])
    np.testing.assert_allclose(found, expected.predict(test), rtol=1e-4)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_it_is_scikit_learns_logistic_regression(balls, test_part, weights):
    samples = draw_balls(classes=True)
    recipe = VoxelRecipe(penalties=(0.003,), intensity="unit", class_weights=weights)
    setup = balls(recipe, classes=True, selection=LAST, backbone=None)
    found = fit_voxels(setup).predict(test_part(classes=True))
    reference = LogisticRegression(
        C=1 / 0.003, tol=1e-8, max_iter=10_000, class_weight={"none": None}.get(weights, weights)
    ).fit(plain_voxels(samples, TRAIN), samples.targets[TRAIN])
    expected = reference.decision_function(plain_voxels(samples, TEST))
    assert found.shape == (len(TEST), 2)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], expected, rtol=1e-2, atol=1e-2)


def test_the_penalty_is_chosen_on_validation_volumes(balls, test_part):
    told = []
    setup = balls(VoxelRecipe(), backbone=None, on_epoch=told.append)
    model = fit_voxels(setup)
    assert [epoch.stage for epoch in told] == [f"penalty {p:g}" for p in setup.parameters.penalties]
    losses = [epoch.val_loss for epoch in told]
    assert model.notes["selected_epoch"] == 1 + int(np.argmin(losses))
    error = np.abs(model.predict(test_part()) - test_part().targets).mean()
    assert error < 0.5 * np.abs(test_part().targets - setup.train.targets.mean()).mean()


def test_so_large_a_penalty_predicts_the_mean(balls, test_part):
    setup = balls(VoxelRecipe(penalties=(1e12,)), selection=LAST, backbone=None)
    np.testing.assert_allclose(
        fit_voxels(setup).predict(test_part()), setup.train.targets.mean(), rtol=1e-6
    )


def test_blocks_of_volumes_on_disk_give_the_same_model(balls, test_part, monkeypatch):
    """No more than two blocks are held, and volumes need not be in memory."""
    setup = balls(VoxelRecipe(), backbone=None)
    whole = fit_voxels(setup).predict(test_part())

    def stored(part: Subset) -> Subset:
        def decode(size, interpolation):
            images = part.decode(size, interpolation)
            return StoredImages(images, np.arange(len(images)))

        return replace(part, decode=decode)

    monkeypatch.setattr(voxels, "BLOCK_BYTES", 7 * 8 * 12**3)
    small = replace(setup, train=stored(setup.train), val=stored(setup.val))
    assert max(map(len, Blocks(small, small.train).rows)) == 7
    np.testing.assert_allclose(
        gram(Blocks(small, small.train)),
        (rows := plain_voxels(draw_balls(), TRAIN, zscore=True)) @ rows.T,
        atol=1e-6,
    )
    np.testing.assert_allclose(fit_voxels(small).predict(stored(test_part())), whole, rtol=1e-6)


def test_a_class_without_training_volumes_is_named(balls):
    setup = balls(VoxelRecipe(), classes=True, backbone=None)
    samples = draw_balls(classes=True)
    small = Subset.of(samples, TRAIN[samples.targets[TRAIN] == 0], setup.workspace)
    with pytest.raises(DataError, match="class 'large' has no sample in the training set"):
        fit_voxels(replace(setup, train=small))


def test_a_metric_without_value_for_any_penalty_is_refused(balls):
    rule = SelectionRule("val", "macro_auroc")
    setup = balls(VoxelRecipe(), classes=True, backbone=None, selection=rule)
    samples = draw_balls(classes=True)
    one_class = Subset.of(samples, VAL[samples.targets[VAL] == 0], setup.workspace)
    with pytest.raises(UsageError, match="'macro_auroc' is undefined on the validation set"):
        fit_voxels(replace(setup, val=one_class))
    last = replace(setup, val=one_class, selection=SelectionRule("last", "macro_auroc"))
    assert fit_voxels(last).notes["selected_penalty"] == setup.parameters.penalties[0]


def test_penalties_that_are_none_are_refused():
    for penalties in ((), (0.0,), (-1.0,), (float("inf"),)):
        with pytest.raises(ValueError, match="penalties must be positive"):
            VoxelRecipe(penalties=penalties)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["voxel_ridge", "voxel_logistic"])
def test_the_methods_keep_every_promise(name, registry):
    check_method(registry.method(name))
