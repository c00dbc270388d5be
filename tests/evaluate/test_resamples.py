"""Metrics of many weightings at once are scikit-learn's of each weighting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import all_metrics, find_metric
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.resampling import strata_of
from mritk.evaluate.rounding import one_value
from tests.evaluate.oracles import ORACLES

CLASSES = [metric for metric in all_metrics().values() if metric.task == "classification"]
VALUES = [metric for metric in all_metrics().values() if metric.task == "regression"]


def drawn(seed, *, classes=3, count=40, units=12, resamples=4, levels=0):
    """Targets, scores, units and weights; with ``levels`` many scores are equal."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, count)
    scores = rng.normal(size=(count, classes)).astype(np.float32)
    scores[np.arange(count), targets] += 1
    if levels:
        scores = np.round(scores * levels) / levels
    unit = rng.permutation(np.arange(count) % units)
    weights = rng.poisson(1.0, (resamples, units)) * np.float32(12 / 11)
    return targets, scores.astype(np.float32), unit, weights.astype(np.float32)


def one_by_one(metric, targets, scores, unit, weights):
    """The value by another hand, of one weighting after the other."""
    found = []
    for row in weights:
        of_sample = row[unit].astype(np.float64)
        some = of_sample > 0
        if not some.any():
            found.append(np.nan)
            continue
        found.append(ORACLES[metric.name](targets[some], scores[some], of_sample[some]))
    return np.asarray(found)


@pytest.mark.slow
@pytest.mark.parametrize("metric", CLASSES, ids=lambda m: m.name)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from([0, 1, 4]))
@settings(deadline=None, max_examples=15)
def test_classification(metric, seed, classes, levels):
    """With few levels scores are tied; with few units classes get lost, and both give NaN."""
    data = drawn(seed, classes=classes, levels=levels, units=6 + seed % 10)
    together = metric.resample(Resamples(*data))
    np.testing.assert_allclose(together, one_by_one(metric, *data), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("metric", VALUES, ids=lambda m: m.name)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1e4]))
@settings(deadline=None, max_examples=15)
def test_regression(metric, seed, offset):
    rng = np.random.default_rng(seed)
    _, _, unit, weights = drawn(seed)
    weights[:, 0] += 1  # never nothing at all
    targets = rng.normal(size=40) + offset
    scores = (targets + 0.5 * rng.normal(size=40)).astype(np.float32)
    together = metric.resample(Resamples(targets, scores, unit, weights))
    expected = one_by_one(metric, targets, scores, unit, weights)
    np.testing.assert_allclose(together, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("metric", CLASSES, ids=lambda m: m.name)
def test_whole_weights_are_repeated_samples(metric):
    """The bootstrap as it is told in books: rows drawn with replacement."""
    targets, scores, unit, _ = drawn(3, units=40)
    weights = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), 20)
    together = metric.resample(Resamples(targets, scores, unit, weights.astype(np.float32)))
    exactly = metric.resample(Resamples(targets, scores, unit, weights))
    np.testing.assert_allclose(together, exactly, atol=2e-5)
    for value, row in zip(together, weights, strict=True):
        rows = np.repeat(np.arange(40), row[unit])
        expected = metric.compute(targets[rows], scores[rows]).value
        np.testing.assert_allclose(value, expected, atol=2e-5)


def test_a_mean_over_some_classes_leaves_out_the_others():
    metric = all_metrics()["balanced_accuracy"]
    targets, scores, unit, weights = drawn(0, classes=4)
    weights += 1
    resamples = Resamples(targets, scores, unit, weights)
    some = metric.resample(resamples, classes=np.array([0, 2]))
    kept = np.isin(targets, [0, 2])
    for value, row in zip(some, weights, strict=True):
        of_sample = row[unit].astype(float)
        expected = [
            np.average(scores[targets == k].argmax(1) == k, weights=of_sample[targets == k])
            for k in (0, 2)
        ]
        assert value == pytest.approx(np.mean(expected), abs=1e-5)
    assert kept.any()


def test_a_metric_without_a_form_of_its_own_is_called_for_each_weighting():
    def top_class(targets, scores, weights):
        return float(np.average(scores.argmax(1) == targets, weights=weights))

    plain = Metric("top", "top", True, top_class)
    data = drawn(1)
    accuracy = all_metrics()["accuracy"].resample(Resamples(*data))
    np.testing.assert_allclose(plain.resample(Resamples(*data)), accuracy, atol=1e-5)


def test_units_of_other_trials_have_no_part():
    """Folds: weights cover all units of the table, a trial has those of its own test part."""
    targets, scores, unit, weights = drawn(2)
    wider = np.concatenate([weights, 100 * np.ones_like(weights)], axis=1)
    metric = all_metrics()["log_loss"]
    np.testing.assert_allclose(
        metric.resample(Resamples(targets, scores, unit, wider)),
        metric.resample(Resamples(targets, scores, unit, weights)),
        rtol=1e-6,
    )


def many(targets, scores, resamples=20):
    """Samples of so many units that their sums round in single precision."""
    unit = np.arange(len(targets))
    return targets, scores, unit, strata_of(unit, targets).weights(resamples)


@pytest.mark.parametrize("name", ["accuracy", "kappa", "mcc", "macro_f1", "macro_specificity"])
def test_all_right_is_all_right_in_every_resample_of_many_samples(name):
    targets = np.random.default_rng(0).integers(0, 4, 20_000)
    data = many(targets, np.eye(4, dtype=np.float32)[targets])
    np.testing.assert_array_equal(find_metric(name).resample(Resamples(*data)), 1.0)


def test_the_kappa_of_a_rare_class_is_right_in_every_resample():
    targets = (np.arange(60_000) < 6).astype(np.int64)
    decided = targets.copy()
    decided[[3, 100]] = 0, 1
    data = many(targets, np.eye(2, dtype=np.float32)[decided])
    metric = find_metric("kappa")
    expected = one_by_one(metric, *data)
    np.testing.assert_allclose(metric.resample(Resamples(*data)), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["mae", "rmse", "bias"])
def test_one_error_for_all_is_their_mean_in_every_resample_of_many_samples(name):
    targets = np.zeros(20_000, np.int64)
    _, _, unit, weights = many(targets, targets)
    found = find_metric(name).resample(Resamples(targets, np.full(20_000, 0.3), unit, weights))
    assert one_value(found)
