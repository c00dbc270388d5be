"""Several datasets: Friedman's test, and Nemenyi's for the pairs."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from scipy import stats

from mritk.errors import Unavailable
from mritk.evaluate.friedman import average_ranks, critical_difference, friedman, nemenyi

# Demšar 2006, table 6: AUC of C4.5, and of C4.5 with m, cf, and both tuned, on 14 datasets.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_the_example_of_demsar():
    """Ranks 3.143, 2.000, 2.893, 1.964; χ² = 9.28 before the correction for ties, F = 3.69."""
    found = friedman(DEMSAR)
    np.testing.assert_allclose(found.ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert found.chi_squared == pytest.approx(stats.friedmanchisquare(*DEMSAR.T).statistic)
    uncorrected = 12 * 14 / (4 * 5) * ((found.ranks**2).sum() - 4 * 5**2 / 4)
    assert uncorrected == pytest.approx(9.28, abs=0.01)
    assert found.chi_squared >= uncorrected
    assert found.f == pytest.approx(13 * found.chi_squared / (14 * 3 - found.chi_squared))
    assert found.p == pytest.approx(stats.f.sf(found.f, 3, 39))
    assert found.p < 0.05
    assert critical_difference(14, 4) == pytest.approx(2.569 * math.sqrt(20 / (6 * 14)), rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "quantile"), [(3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)]
)
def test_critical_values_are_those_of_demsars_table_5(rows, quantile):
    expected = quantile * math.sqrt(rows * (rows + 1) / (6 * 20))
    assert critical_difference(20, rows) == pytest.approx(expected, rel=1e-3)


def test_pairs_differ_exactly_where_their_ranks_are_farther_apart_than_the_critical_difference():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(12, 6)) + np.arange(6) * 0.6
    pairs, ranks = nemenyi(scores), average_ranks(scores)
    apart = np.abs(ranks[:, None] - ranks[None, :])
    np.testing.assert_array_equal(pairs < 0.05, apart > critical_difference(12, 6))
    np.testing.assert_array_equal(pairs, pairs.T)


def test_the_direction_turns_the_ranks_round_and_leaves_p_alone():
    up, down = friedman(DEMSAR), friedman(DEMSAR, higher_is_better=False)
    np.testing.assert_allclose(up.ranks + down.ranks, 5)
    assert up.p == pytest.approx(down.p)


def test_datasets_that_all_agree_leave_no_doubt():
    found = friedman(np.tile([0.9, 0.8, 0.7], (6, 1)))
    assert (found.f, found.p) == (math.inf, 0)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (np.eye(4), "requires at least 5; there are 4"),
        (np.ones((6, 2)), "requires at least 3 rows; there are 2"),
        (np.full((6, 3), math.nan), "no score on some datasets"),
        (np.ones((6, 3)), "all rows have equal scores"),
    ],
)
def test_what_cannot_be_tested_says_why(scores, reason):
    found = friedman(scores)
    assert math.isnan(found.p)
    assert reason in found.reason


def test_scores_are_a_matrix():
    with pytest.raises(ValueError, match="datasets, rows"):
        friedman(np.ones(4))


def test_without_scikit_posthocs_the_line_to_install_it_is_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "scikit_posthocs", None)
    with pytest.raises(Unavailable, match=r"pip install 'mritk-bench\[stats\]'"):
        nemenyi(DEMSAR)


@pytest.mark.slow
@pytest.mark.parametrize("datasets", [5, 12])
def test_equal_rows_are_called_different_in_5_percent(datasets):
    """1,000 trials: 5 % ± 3 standard errors, since ranks are coarse; χ² is more conservative."""
    drawn = np.random.default_rng(datasets).normal(size=(1000, datasets, 4))
    found = [friedman(scores) for scores in drawn]
    rate = np.mean([one.p < 0.05 for one in found])
    assert rate == pytest.approx(0.05, abs=0.02)
    assert np.mean([one.p_chi_squared < 0.05 for one in found]) <= rate
