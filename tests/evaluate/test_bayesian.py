"""Probabilities of worse, practically equal and better."""

from __future__ import annotations

import math
import sys

import baycomp
import numpy as np
import pytest
from scipy import stats

from mritk.errors import Unavailable
from mritk.evaluate.bayesian import (
    dataset_probabilities,
    fold_probabilities,
    student_probabilities,
)


def total(found):
    return found.worse + found.equal + found.better


def test_a_difference_and_its_standard_error_give_a_students_posterior():
    found = student_probabilities(0.02, 0.01, 9, rope=0.01)
    posterior = stats.t(9, loc=0.02, scale=0.01)
    assert found.worse == pytest.approx(posterior.cdf(-0.01))
    assert found.equal == pytest.approx(posterior.cdf(0.01) - posterior.cdf(-0.01))
    assert found.better == pytest.approx(posterior.sf(0.01))


def test_without_a_rope_nothing_is_equal_and_p_is_read_off():
    """Under a flat prior, the probability of the less probable side is half the two-sided p."""
    found = student_probabilities(0.02, 0.01, 9, rope=0)
    assert found.equal == pytest.approx(0)
    assert found.worse == pytest.approx(stats.t.sf(2, 9))


def test_a_sharp_posterior_inside_the_rope_shows_equality_which_no_p_value_can():
    assert student_probabilities(0.001, 0.001, math.inf, rope=0.01).equal > 0.999


def test_where_less_is_better_the_sides_change_places():
    up = student_probabilities(0.02, 0.01, 9, rope=0.01)
    down = student_probabilities(0.02, 0.01, 9, rope=0.01, higher_is_better=False)
    assert (down.worse, down.better) == (up.better, up.worse)


@pytest.mark.parametrize("error", [0, math.nan])
def test_without_a_standard_error_nothing_is_believed(error):
    found = student_probabilities(0.02, error, 9, rope=0.01)
    assert math.isnan(found.better)
    assert found.reason == "the difference has no standard error"


@pytest.mark.parametrize("rope", [0, 0.02])
@pytest.mark.parametrize("repeats", [1, 2])
def test_folds_are_judged_by_baycomp(rope, repeats):
    first, second = 0.8 + 0.03 * np.random.default_rng(0).normal(size=(2, 10))
    found = fold_probabilities(first, second, rope, repeats)
    oracle = baycomp.two_on_single(second, first, rope=rope, runs=repeats)
    assert (found.worse, found.better) == pytest.approx((oracle[0], oracle[-1]))
    assert total(found) == pytest.approx(1)


def test_folds_that_all_differ_alike_tell_nothing_of_their_spread():
    """One of 20 samples more in each; the subtraction rounds."""
    first, second = np.array([[18, 17, 16, 19, 15], [17, 16, 15, 18, 14]]) / 20
    assert "same difference" in fold_probabilities(first, second, 0.01).reason


def test_folds_that_differ_by_rounding_alone_are_equal():
    first = np.array([0.7, 0.8, 0.9])
    found = fold_probabilities(first, np.nextafter(first, 1), 0.0)
    assert found == fold_probabilities(first, first, 0.0)


def test_folds_in_which_the_first_is_better_are_evidence_for_the_first():
    first, second = np.linspace(0.85, 0.9, 5), np.linspace(0.7, 0.77, 5)
    assert fold_probabilities(first, second, 0.01).better > 0.99
    assert fold_probabilities(first, second, 0.01, higher_is_better=False).worse > 0.99


@pytest.mark.parametrize("rope", [0, 0.01])
def test_datasets_are_judged_by_the_signed_rank_test_of_baycomp(rope):
    rng = np.random.default_rng(0)
    second = rng.uniform(0.6, 0.9, 12)
    first = second + rng.normal(0.02, 0.02, 12)
    found = dataset_probabilities(first, second, rope, draws=4000)
    oracle = baycomp.SignedRankTest.probs(second, first, rope=rope, nsamples=4000, random_state=1)
    assert found.worse == pytest.approx(oracle[0], abs=0.03)
    assert found.better == pytest.approx(oracle[-1], abs=0.03)
    assert total(found) == pytest.approx(1)
    again = dataset_probabilities(first, second, rope, draws=4000)
    assert again == found, "the draws are fixed"


def test_the_same_scores_on_every_dataset_are_equal():
    scores = np.linspace(0.6, 0.9, 8)
    assert dataset_probabilities(scores, scores, 0.01, draws=500).equal == 1
    assert dataset_probabilities(scores, scores, 0).better == 0.5


@pytest.mark.parametrize("probabilities", [fold_probabilities, dataset_probabilities])
def test_what_is_unknown_or_misshapen(probabilities):
    assert "two" in probabilities(np.ones(1), np.ones(1), 0.01).reason
    unknown = probabilities(np.array([0.5, math.nan]), np.ones(2), 0.01)
    assert math.isnan(unknown.equal)
    assert "undefined" in unknown.reason
    with pytest.raises(ValueError, match="scores"):
        probabilities(np.ones(4), np.ones(3), 0.01)
    with pytest.raises(ValueError, match="practical equivalence"):
        probabilities(np.ones(4), np.ones(4), -0.01)


@pytest.mark.parametrize("probabilities", [fold_probabilities, dataset_probabilities])
def test_without_baycomp_the_line_to_install_it_is_shown(monkeypatch, probabilities):
    monkeypatch.setitem(sys.modules, "baycomp", None)
    with pytest.raises(Unavailable, match=r"pip install 'mritk-bench\[stats\]'"):
        probabilities(np.arange(4.0), np.ones(4), 0.01)


def test_equal_rows_are_believed_better_or_worse_at_97_5_percent_in_5_percent():
    """Folds of equal rows, correlated by 1 / k; 1,000 trials without a ROPE."""
    rng = np.random.default_rng(0)
    drawn = math.sqrt(0.8) * rng.normal(size=(1000, 5)) + math.sqrt(0.2) * rng.normal(
        size=(1000, 1)
    )
    found = [fold_probabilities(row, np.zeros(5), 0) for row in drawn]
    assert 0.036 < np.mean([max(one.worse, one.better) > 0.975 for one in found]) < 0.064


@pytest.mark.slow
def test_equal_rows_on_many_datasets_are_seldom_believed_different():
    rng = np.random.default_rng(0)
    found = [dataset_probabilities(*rng.normal(size=(2, 15)), 0, draws=300) for _ in range(100)]
    assert np.mean([max(one.worse, one.better) > 0.975 for one in found]) < 0.12
