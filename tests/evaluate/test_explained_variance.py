"""R² is a ratio whose denominator is resampled too: where it is nearly 0, one resample must not
decide.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evidence.explained_variance import R2, Cohort, rates
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.ratio import linearised
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.run_values import Scored

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


def test_a_perfect_model_has_no_spread(ages):
    found = Evidence(rows({"perfect": ages.copy()}, ages), [R2]).interval("perfect", R2)
    assert found.reason


def test_the_standard_error_is_that_of_the_delta_method_also_with_an_outlier(ages, good):
    """A third of the resamples leave out the patient whose error is most of all."""
    predicted = good.copy()
    predicted[7] += 45
    whole = [Scored((0, 0), 0, ages, predicted, [f"p{i}" for i in range(50)])]
    found = Evidence({"one": whole}, [R2]).interval("one", R2)
    errors, deviations = (predicted - ages) ** 2, (ages - ages.mean()) ** 2
    influence = (errors - errors.mean() / np.var(ages) * deviations) / np.var(ages)
    assert found.standard_error == pytest.approx(np.std(influence, ddof=1) / np.sqrt(50), rel=0.05)


def test_a_ratio_is_linear_in_what_it_is_a_ratio_of(ages, good):
    """The delta method by hand: S / V is nearly q + (S - q V) / V₀ for q = S₀ / V₀."""
    weights = np.random.default_rng(0).integers(0, 4, (5, 50)).astype(float)
    samples = Resamples(ages, good, np.arange(50), weights)
    errors, spread = np.empty(5), np.empty(5)
    for row, weight in enumerate(weights):
        errors[row] = np.average((good - ages) ** 2, weights=weight)
        mean = np.average(ages, weights=weight)
        spread[row] = np.average((ages - mean) ** 2, weights=weight)
    q = np.mean((good - ages) ** 2) / np.var(ages)
    expected = 1 - q - (errors - q * spread) / np.var(ages)
    assert linearised(R2, R2.resample(samples), 1 - q, samples) == pytest.approx(expected)


@pytest.mark.slow
def test_intervals_of_simulated_cohorts_cover():
    """The table of docs/statistics.md, of fewer tables."""
    found = rates(Cohort(40, 1, 5.0, "uniform", "normal"), 200, np.random.default_rng(0))
    assert 0.92 <= found["covered"] <= 0.99
    assert found["p"] <= 0.06
