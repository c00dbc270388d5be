"""McNemar's exact test, and why it wants one sample per patient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from mritk.evaluate.mcnemar import mcnemar


def vectors(both, only_first, only_second, neither):
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


@pytest.mark.parametrize(
    "cells", [(50, 3, 12, 10), (0, 1, 0, 0), (5, 4, 4, 5), (20, 0, 9, 1), (100, 40, 60, 7)]
)
def test_it_is_that_of_statsmodels(cells):
    both, b, c, neither = cells
    found = mcnemar(*vectors(*cells))
    oracle = statsmodels_mcnemar([[both, b], [c, neither]], exact=True)
    assert found.p == pytest.approx(oracle.pvalue)
    assert found.difference == pytest.approx((b - c) / sum(cells))


def test_it_is_two_sided_and_exchanging_the_two_changes_the_sign_only():
    first, second = vectors(10, 1, 8, 3)
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert one.p == other.p == pytest.approx(2 * binom.cdf(1, 9, 0.5))
    assert one.difference == -other.difference
    assert (one.interval.low, one.interval.high) == (-other.interval.high, -other.interval.low)


def test_samples_that_both_get_right_or_wrong_do_not_change_p():
    few, many = mcnemar(*vectors(1, 2, 9, 0)), mcnemar(*vectors(500, 2, 9, 700))
    assert few.p == many.p


def test_where_they_never_differ_there_is_no_evidence():
    found = mcnemar(*vectors(5, 0, 0, 5))
    assert (found.p, found.difference) == (1.0, 0.0)
    assert 0 in found.interval


def test_the_interval_is_that_of_agresti_and_min():
    """One half added to each of the cells (53, 3, 12, 22), then Wald's."""
    b, c, total = 3.5, 12.5, 92
    error = math.sqrt((b + c) - (b - c) ** 2 / total) / total
    interval = mcnemar(*vectors(53, 3, 12, 22)).interval
    assert interval.low == pytest.approx((b - c) / total - 1.959964 * error)
    assert interval.high == pytest.approx((b - c) / total + 1.959964 * error)


def test_several_images_of_a_patient_are_refused_with_the_reason():
    first, second = vectors(2, 1, 1, 0)
    found = mcnemar(first, second, ["p1", "p1", "p2", "p3"])
    assert math.isnan(found.p)
    assert math.isnan(found.interval.low)
    assert "4 test samples are of 3 patients" in found.reason
    assert mcnemar(first, second, ["p1", "p2", "p3", "p4"]).reason == ""


def test_no_samples_are_no_evidence():
    nothing = np.zeros(0, dtype=bool)
    assert mcnemar(nothing, nothing).reason == "no samples"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.ones(2, dtype=bool), np.ones(3, dtype=bool)),
        (np.ones(2), np.ones(2)),
        (np.ones((2, 2), dtype=bool), np.ones((2, 2), dtype=bool)),
    ],
)
def test_it_takes_two_vectors_of_bool(first, second):
    with pytest.raises(ValueError, match="two bool vectors"):
        mcnemar(first, second)


def test_several_samples_of_one_patient_are_not_tested():
    right = np.ones(2, dtype=bool)
    why = "2 test samples are of 1 patient (or duplicate group) and not independent"
    assert mcnemar(right, ~right, ["p0", "p0"]).reason == why


def simulated(images, seed, trials=1500, patients=60):
    """Results of two equally accurate classifiers; all images of a patient come out alike."""
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        right = np.repeat(rng.random((2, patients)) < 0.75, images, axis=1)
        yield right[0], right[1]


@pytest.mark.slow
def test_equal_classifiers_are_called_different_in_at_most_5_percent():
    """It is exact, hence conservative: the rate lies below 5 %, by two standard errors at most
    above it."""
    rate = np.mean([mcnemar(*pair).p < 0.05 for pair in simulated(images=1, seed=0)])
    assert 0.01 < rate < 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1500)


@pytest.mark.slow
def test_the_interval_covers_the_truth():
    covered = np.mean([0 in mcnemar(*pair).interval for pair in simulated(images=1, seed=1)])
    assert 0.93 < covered < 0.975


@pytest.mark.slow
def test_images_taken_for_patients_would_show_differences_that_are_not_there():
    rate = np.mean([mcnemar(*pair).p < 0.05 for pair in simulated(images=4, seed=2, trials=400)])
    assert rate > 0.2
