"""R² is a ratio whose denominator is resampled too: where it is nearly 0, one resample must not
decide.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evidence.explained_variance import R2, Cohort, rates
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.run_values import Scored
from mritk.evaluate.scale import Scale

FOLDS = 5


def rows(predictions, ages):
    """Folds of ten patients each, tested by models that predict ages in these ways."""
    fold = np.arange(len(ages)) % FOLDS
    found = {}
    for name, predicted in predictions.items():
        found[name] = [
            Scored((0, 0), part, ages[own], predicted[own], [f"p{i}" for i in own])
            for part in range(FOLDS)
            for own in [np.flatnonzero(fold == part)]
        ]
    return found


@pytest.fixture(scope="module")
def ages():
    return np.random.default_rng(1).uniform(18, 85, 50)


@pytest.fixture(scope="module")
def good(ages):
    return ages + np.random.default_rng(2).normal(0, 5, 50)


def test_a_resample_with_nearly_equal_targets_does_not_decide_the_interval(ages, good):
    """In one of 2,000, a fold may hold almost one patient, ten times: its R² is far below 0."""
    evidence = Evidence(rows({"good": good}, ages), [R2])
    found = evidence.interval("good", R2)
    (run,) = evidence.runs("good", R2)
    assert 0.75 < found.low < run.point < found.high < 1


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_nor_those_of_other_intervals(ages, good, method):
    found = Evidence(rows({"good": good}, ages), [R2], method=method).interval("good", R2)
    assert 0.75 < found.low < found.high < 1


def test_a_model_is_told_from_the_mean_of_all(ages, good):
    constant = np.full(50, ages.mean())
    models = {"good": good, "constant": constant}
    evidence = Evidence(rows(models, ages), [R2], given_these_models=True)
    (comparison,) = evidence.all_pairs(R2)
    assert comparison.p < 0.001
    assert evidence.interval("constant", R2).high < evidence.interval("good", R2).low


def test_a_perfect_model_has_no_scale_and_no_spread(ages):
    found = Evidence(rows({"perfect": ages.copy()}, ages), [R2]).interval("perfect", R2)
    assert found.reason


def test_straightened_values_are_bent_back():
    scale, values = Scale(high=1), np.array([-40.0, 0.0, 0.9, 0.99])
    straight = scale.straightened(values, 0.9)
    assert straight[2] == pytest.approx(0.9)
    assert straight[0] == pytest.approx(0.9 - 0.1 * np.log(41 / 0.1))
    assert [scale.bent(value, 0.9) for value in straight] == pytest.approx(values)


def test_values_at_the_bound_stay():
    scale = Scale(high=1)
    assert scale.straightened(np.array([1.0]), 0.9) == [1.0]
    assert scale.straightened(np.array([0.5, 1.0]), 1.0).tolist() == [0.5, 1.0]


@pytest.mark.slow
def test_intervals_of_simulated_cohorts_cover():
    """The table of docs/statistics.md, of fewer tables."""
    found = rates(Cohort(40, 1, 5.0, "uniform"), 200, np.random.default_rng(0))
    assert 0.92 <= found["covered"] <= 0.99
    assert found["p"] <= 0.06
