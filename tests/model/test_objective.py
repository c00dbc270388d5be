"""The loss: hand-computed numbers, and scores in the unit of the target."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from mritk import Classification, Regression
from mritk.model.objective import Objective, balanced_weights

ABC = Classification(("a", "b", "c"))

# Softmax of ln p is p, so that the losses below can be done on paper.
PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
OUTPUTS = torch.tensor(np.log(PROBABILITIES), dtype=torch.float32)
TARGETS = torch.tensor([0, 2])


def objective(targets=(0, 1, 2), **options):
    return Objective(ABC, np.asarray(targets), "cpu", **options)


def test_without_options_the_loss_is_the_mean_cross_entropy():
    expected = -(math.log(0.5) + math.log(0.125)) / 2
    assert float(objective().loss(OUTPUTS, TARGETS)) == pytest.approx(expected, rel=1e-6)


def test_label_smoothing_shares_a_part_of_the_target_among_all_classes():
    smoothed = np.full((2, 3), 0.1 / 3) + 0.9 * np.eye(3)[[0, 2]]
    expected = -(smoothed * np.log(PROBABILITIES)).sum(axis=1).mean()
    got = objective(label_smoothing=0.1).loss(OUTPUTS, TARGETS)
    assert float(got) == pytest.approx(expected, rel=1e-6)


def test_class_weights_make_a_weighted_mean():
    loss = objective((0, 0, 0, 1, 1, 2), balanced=True)
    w = {0: 6 / 9, 2: 6 / 3}
    expected = -(w[0] * math.log(0.5) + w[2] * math.log(0.125)) / (w[0] + w[2])
    assert float(loss.loss(OUTPUTS, TARGETS)) == pytest.approx(expected, rel=1e-6)


def test_class_weights_with_label_smoothing_weigh_each_term_by_its_own_class():
    """torch's definition: every share of the smoothed target carries its class's weight."""
    loss = objective((0, 0, 0, 1, 1, 2), balanced=True, label_smoothing=0.1)
    w = np.array([6 / 9, 6 / 6, 6 / 3])
    smoothed = np.full((2, 3), 0.1 / 3) + 0.9 * np.eye(3)[[0, 2]]
    terms = -(smoothed * w * np.log(PROBABILITIES)).sum()
    expected = terms / (w[0] + w[2])
    assert float(loss.loss(OUTPUTS, TARGETS)) == pytest.approx(expected, rel=1e-6)


def test_a_weight_per_sample_multiplies_its_smoothed_loss_as_keras_does():
    """``class_weight`` becomes ``sample_weight``, and the mean is over samples, not weights."""
    loss = objective((0, 0, 0, 1, 1, 2), balanced=True, label_smoothing=0.1, weigh_samples=True)
    w = np.array([6 / 9, 6 / 6, 6 / 3])[[0, 2]]
    smoothed = np.full((2, 3), 0.1 / 3) + 0.9 * np.eye(3)[[0, 2]]
    per_sample = -(smoothed * np.log(PROBABILITIES)).sum(axis=1)
    expected = (w * per_sample).sum() / 2
    assert float(loss.loss(OUTPUTS, TARGETS)) == pytest.approx(expected, rel=1e-6)
    of_terms = objective((0, 0, 0, 1, 1, 2), balanced=True, label_smoothing=0.1)
    assert float(of_terms.loss(OUTPUTS, TARGETS)) != pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("weigh_samples", [False, True])
def test_parts_of_a_batch_add_up_to_its_loss(weigh_samples):
    options = {"balanced": True, "label_smoothing": 0.1, "weigh_samples": weigh_samples}
    loss = objective((0, 0, 0, 1, 1, 2), **options)
    parts = [
        loss.share(TARGETS[i : i + 1], TARGETS) * loss.loss(OUTPUTS[i : i + 1], TARGETS[i : i + 1])
        for i in range(2)
    ]
    assert float(sum(parts)) == pytest.approx(float(loss.loss(OUTPUTS, TARGETS)), rel=1e-6)


def test_the_loss_without_class_weights_keeps_its_smoothing():
    """It is what Keras calls ``val_loss``, but for penalties."""
    smoothed = np.full((2, 3), 0.1 / 3) + 0.9 * np.eye(3)[[0, 2]]
    expected = -(smoothed * np.log(PROBABILITIES)).sum(axis=1).mean()
    weighted = objective((0, 0, 0, 1, 1, 2), balanced=True, label_smoothing=0.1)
    assert float(weighted.unweighted_loss(OUTPUTS, TARGETS)) == pytest.approx(expected, rel=1e-6)


def test_states_are_compared_without_smoothing_or_weights():
    plain = objective((0, 0, 0, 1, 1, 2), balanced=True, label_smoothing=0.1)
    expected = -(math.log(0.5) + math.log(0.125)) / 2
    assert float(plain.plain_loss(OUTPUTS, TARGETS)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("counts", [(1321, 1339, 1595, 1457), (826, 822, 395, 827), (1, 1000)])
def test_balanced_weights_are_those_of_scikit_learn(counts):
    targets = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=targets)
    np.testing.assert_allclose(balanced_weights(targets, len(counts)), expected)


def test_the_weights_come_from_the_training_targets_alone():
    loss = objective((0, 0, 0, 1, 1, 2), balanced=True)
    alone = loss.loss(OUTPUTS[:1], torch.tensor([0]))
    assert float(alone) == pytest.approx(-math.log(0.5), rel=1e-6), "weights cancel in one sample"


def test_scores_of_a_classification_are_the_logits():
    scores = objective().scores(OUTPUTS)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, OUTPUTS.numpy())


# -- regression --------------------------------------------------------------------------------

AGES = np.array([20.0, 40.0, 60.0, 80.0])


def regression(targets=AGES):
    return Objective(Regression("years"), targets, "cpu")


def test_regression_targets_are_standardised_with_the_training_part():
    prepared = regression().targets.numpy()
    np.testing.assert_allclose(prepared, (AGES - 50) / AGES.std(), rtol=1e-6)
    other = regression().prepare(np.array([50.0])).numpy()
    np.testing.assert_allclose(other, [0.0], atol=1e-7)


def test_the_regression_loss_is_the_squared_error_of_standardised_values():
    outputs = torch.tensor([[0.0], [0.0], [0.0], [0.0]])
    loss = regression()
    assert float(loss.loss(outputs, loss.targets)) == pytest.approx(1.0, rel=1e-6)
    assert float(loss.plain_loss(outputs, loss.targets)) == pytest.approx(1.0, rel=1e-6)


def test_predicted_values_come_back_in_the_unit_of_the_target():
    loss = regression()
    values = loss.scores(loss.targets[:, None])
    assert values.shape == (4,)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, AGES, rtol=1e-6)


@pytest.mark.parametrize(("value", "count"), [(7.0, 4), (0.1, 3), (0.3, 7), (36.6, 10)])
def test_equal_targets_divide_neither_by_zero_nor_by_the_rounding_of_their_mean(value, count):
    loss = regression(np.full(count, value))
    assert loss.scaling == (pytest.approx(value), 1.0)
    np.testing.assert_allclose(loss.targets.numpy(), 0, atol=1e-7)
    np.testing.assert_allclose(loss.scores(torch.zeros(2, 1)), value, rtol=1e-6)
