"""The corrected resampled t-test: folds that share training samples are no free witnesses."""

from __future__ import annotations

import math

import baycomp
import numpy as np
import pytest
from scipy import stats

from mritk.evaluate.corrected_t import corrected_t

ONE_MORE = np.array([[18, 17, 16, 19, 15], [17, 16, 15, 18, 14]]) / 20
DIFFERENCES = np.array([0.02, 0.05, -0.01, 0.03, 0.04])


def test_it_is_the_formula():
    found = corrected_t(DIFFERENCES, 1 / 4)
    t = DIFFERENCES.mean() / math.sqrt((1 / 5 + 1 / 4) * DIFFERENCES.var(ddof=1))
    assert found.statistic == pytest.approx(t)
    assert found.dof == 4
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 4))


@pytest.mark.parametrize("repeats", [1, 3])
def test_location_scale_and_degrees_of_freedom_are_those_of_baycomp(repeats):
    """k folds: n_test / n_train = 1 / (k - 1), for which baycomp writes ρ / (1 - ρ), ρ = 1 / k."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5 * repeats))
    mean, variance, dof = baycomp.CorrelatedTTest.compute_statistics(second, first, repeats)
    found = corrected_t(first - second, 1 / 4)
    assert found.difference == pytest.approx(mean)
    assert found.interval.standard_error == pytest.approx(math.sqrt(variance))
    assert found.dof == dof


def test_almost_no_test_samples_make_it_the_paired_t_test():
    oracle = stats.ttest_1samp(DIFFERENCES, 0)
    found = corrected_t(DIFFERENCES, 1e-12)
    assert found.p == pytest.approx(oracle.pvalue)
    ends = oracle.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((ends.low, ends.high))


def test_p_is_below_5_percent_exactly_where_the_interval_leaves_zero():
    rng = np.random.default_rng(1)
    for shift in np.linspace(0, 2, 30):
        found = corrected_t(rng.normal(shift, 1, 10), 1 / 9)
        assert (found.p < 0.05) == (0 not in found.interval)


def test_the_same_scores_everywhere_are_no_difference():
    found = corrected_t(np.zeros(5), 1 / 4)
    assert (found.difference, found.p) == (0, 1)


@pytest.mark.parametrize(
    ("differences", "reason"),
    [
        ([], "there are no folds"),
        ([0.1], "there is one fold"),
        ([0.1, math.nan], "undefined in some folds"),
        ([0.1, 0.1, 0.1], "all folds give the same difference"),
        # One of 20 samples more in each fold; the subtraction rounds.
        (ONE_MORE[0] - ONE_MORE[1], "all folds give the same difference"),
    ],
)
def test_what_cannot_be_tested_says_why(differences, reason):
    found = corrected_t(np.array(differences), 1 / 4)
    assert math.isnan(found.p)
    assert math.isnan(found.interval.low)
    assert reason in found.reason == found.interval.reason


@pytest.mark.parametrize("ratio", [0, -1, math.nan, math.inf])
def test_the_ratio_is_a_positive_number(ratio):
    with pytest.raises(ValueError, match="n_test / n_train"):
        corrected_t(DIFFERENCES, ratio)


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (5, 4), (10, 2)])
def test_equal_rows_are_called_different_in_5_percent(folds, repeats):
    """Differences with the correlation 1 / k that the correction assumes; 2,000 trials. The plain
    t-test on the same numbers fails."""
    rng = np.random.default_rng(folds)
    rho, count = 1 / folds, folds * repeats
    own, common = rng.normal(size=(2000, count)), rng.normal(size=(2000, 1))
    drawn = math.sqrt(1 - rho) * own + math.sqrt(rho) * common
    rate = np.mean([corrected_t(row, 1 / (folds - 1)).p < 0.05 for row in drawn])
    assert rate == pytest.approx(0.05, abs=2.5 * math.sqrt(0.05 * 0.95 / 2000))
    assert (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean() > 0.1
