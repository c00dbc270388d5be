"""The mean over runs and its interval: patients, retraining, and few of either."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mritk.evaluate.estimate import acceleration, estimate
from mritk.evaluate.resampling import Units

RESAMPLES = 4000


def of_means(values, stratum=None, *, resamples=RESAMPLES, jackknife=False):
    """Estimate the mean over units; values (S, U)."""
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    count = values.shape[1]
    units = Units(np.zeros(count, dtype=np.int64) if stratum is None else np.asarray(stratum))
    weights = units.weights(resamples)
    left_out = values @ units.leave_one_out().T / count if jackknife else None
    drawn = values @ weights.T.astype(np.float64) / count
    found = estimate(values.mean(axis=1), drawn, weights, units)
    return replace(found, jackknife=left_out.mean(axis=0) if jackknife else None), units


@pytest.mark.parametrize("count", [10, 20, 60])
def test_the_interval_of_a_mean_is_that_of_student(count):
    values = np.random.default_rng(count).normal(size=count)
    found, units = of_means(values, resamples=40_000)
    interval = found.interval(units)
    error = values.std(ddof=1) / math.sqrt(count)
    low, high = stats.t.interval(0.95, count - 1, values.mean(), error)
    assert found.standard_error == pytest.approx(error, rel=0.02)
    assert found.dof == pytest.approx(count - 1, rel=0.05)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.1 * error)
    # Quantiles of the resamples, which for few units are no normal distribution.
    drawn = found.interval(units, method="percentile")
    assert (drawn.low, drawn.high) == pytest.approx((low, high), abs=0.3 * error)


def test_runs_add_the_variance_of_their_mean():
    """All runs score every patient alike but for a shift: var = s²_patients / U + s²_runs / S."""
    patients = np.random.default_rng(0).normal(size=50)
    shifts = np.array([-0.3, 0.1, 0.2])
    found, _ = of_means(patients + shifts[:, None])
    expected = patients.var(ddof=1) / 50 + shifts.var(ddof=1) / 3
    assert found.standard_error**2 == pytest.approx(expected, rel=0.05)
    assert found.replicates.var() == pytest.approx(expected, rel=0.05)
    assert found.point == pytest.approx((patients + shifts[:, None]).mean())


def test_few_runs_that_differ_leave_few_degrees_of_freedom():
    patients = np.random.default_rng(0).normal(size=200)
    alike, _ = of_means(np.stack([patients, patients + 1e-6]))
    apart, _ = of_means(np.stack([patients, patients + 10]))
    assert alike.dof > 100
    assert apart.dof == pytest.approx(1, abs=0.1)


def test_a_stratum_of_few_units_leaves_few_degrees_of_freedom():
    """Welch–Satterthwaite: nearly all variance comes from a stratum of three units."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=3), 0.001 * rng.normal(size=97)])
    found, _ = of_means(values, [0] * 3 + [1] * 97)
    assert found.dof == pytest.approx(2, abs=0.2)


def test_many_strata_of_two_units_leave_as_many_degrees_of_freedom():
    """Satterthwaite's would be a third of them: variances from two units have large squares."""
    pairs = np.arange(60) // 2
    draws = [np.random.default_rng(seed).normal(size=60) for seed in range(40)]
    found = [of_means(values, pairs, resamples=2000)[0].dof for values in draws]
    assert np.median(found) == pytest.approx(30, rel=0.25)


def test_bca_of_a_skewed_sample_is_that_of_scipy():
    values = np.random.default_rng(3).exponential(size=60)
    found, units = of_means(values, resamples=40_000, jackknife=True)
    ours = found.interval(units, method="bca")
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", random_state=np.random.default_rng(0)
    ).confidence_interval
    error = found.standard_error
    # Student's quantiles and n - 1 draws make ours a little wider.
    assert ours.low == pytest.approx(theirs.low, abs=0.15 * error)
    assert ours.high == pytest.approx(theirs.high, abs=0.15 * error)
    assert ours.high - found.point > found.point - ours.low, "the long tail is on the right"


def test_the_acceleration_is_a_sixth_of_the_skewness_over_root_n():
    values = np.random.default_rng(0).exponential(size=200)
    units = Units(np.zeros(200, dtype=np.int64))
    left_out = (values.sum() - values) / 199
    expected = stats.skew(values) / (6 * math.sqrt(200))
    assert acceleration(left_out, units) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", ["student", "percentile"])
def test_ends_do_not_leave_the_range_of_the_metric(method):
    found, units = of_means([1, 1, 1, 1, 0.5])
    assert found.interval(units, method=method).high > 1
    bounded = found.interval(units, (0, 1), method)
    assert 0 < bounded.low < found.point < bounded.high <= 1


def test_resamples_without_a_value_are_counted_and_left_out():
    units = Units(np.zeros(4, dtype=np.int64))
    weights = units.weights(1000)
    values = (weights @ np.array([1.0, 2, 3, 4]) / 4)[None]
    values[0, :100] = math.nan
    found = estimate(np.array([2.5]), values, weights, units)
    assert (found.degenerate, len(found.replicates)) == (100, 900)
    assert found.interval(units).degenerate == 100
    values[0, :600] = math.nan
    assert "600 of 1000 resamples" in estimate(np.array([2.5]), values, weights, units).reason


@pytest.mark.parametrize(
    ("values", "stratum", "reason"),
    [
        ([[math.nan, 1.0]], [0, 0], "the value itself is undefined"),
        ([[1.0, 2.0, 3.0]], [0, 0, 1], "a class has only one patient (or duplicate group)"),
        ([[1.0]], [0], "there is only one patient (or duplicate group)"),
        ([[1.0, 1.0, 1.0]], [0, 0, 0], "every resample gives the same value"),
    ],
)
def test_where_there_is_no_interval_the_reason_is_told(values, stratum, reason):
    found, units = of_means(values, stratum)
    assert reason in found.interval(units).reason
    assert math.isnan(found.interval(units).low)


def test_an_error_of_which_few_samples_decide_has_no_interval():
    """On the scale of logarithms an end would have a hundred digits; an interval tells nothing."""
    found, units = of_means([1e-6] * 7 + [9e-3], np.repeat(range(4), 2))
    interval = found.interval(units, (0.0, math.inf))
    assert interval.reason.startswith("few samples decide, so it would be more than 1,000")
    assert not found.interval(units, (0.0, 1.0)).reason, "with two bounds it ends there"
    assert not found.interval(units).reason
    usual, units = of_means(np.random.default_rng(0).exponential(size=8), np.repeat(range(4), 2))
    assert not usual.interval(units, (0.0, math.inf)).reason
