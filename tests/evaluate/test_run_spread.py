"""What training again changes: runs of a row, of its table, and how well either is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mritk.evaluate.fold_overlap import inflation
from mritk.evaluate.run_spread import RunSpread, Training

ALONE = np.zeros((3, 10))  # patients add nothing


def spread(*rows):
    """Return the spread of a table whose rows have these runs."""
    pairs = [(np.asarray(row, dtype=float), np.zeros((len(row), 10))) for row in rows]
    return RunSpread.over(pairs, 99, cautious=False)


def test_the_spread_of_a_table_is_the_pooled_variance():
    rows = [1.0, 2.0, 4.0], [3.0, 3.5, 3.1, 2.0]
    found = spread(*rows)
    pooled = sum((len(row) - 1) * np.var(row, ddof=1) for row in rows) / 5
    assert (found.variance, found.dof) == (pytest.approx(pooled), 5)


def test_a_row_that_spreads_more_than_its_table_rests_on_its_own_runs():
    found = RunSpread(variance=1.0, dof=12).training(np.array([0.0, 3.0, 6.0]), ALONE)
    assert (found.variance, found.dof) == (pytest.approx(9 / 3), 2)


def test_a_row_that_spreads_less_has_the_variance_of_its_table_and_rests_on_both():
    table = RunSpread(variance=1.0, dof=12)
    half = table.training(np.array([-1, 0, 1]) * math.sqrt(0.5), ALONE)
    assert (half.variance, half.dof) == (pytest.approx(1 / 3), pytest.approx(4))
    alike = table.training(np.zeros(3), ALONE)
    assert (alike.variance, alike.dof) == (pytest.approx(1 / 3), 12)


def test_a_row_of_one_run_has_what_its_table_shows_or_nothing_is_known():
    assert RunSpread(variance=1.0, dof=4).training(np.array([0.5]), ALONE[:1]) == Training(1.0, 4)
    assert RunSpread().training(np.array([0.5]), ALONE[:1]) is None


@pytest.mark.slow
def test_the_interval_of_an_unstable_row_covers_among_stable_ones():
    """Runs alone, one row of eight spreading thrice as much; the others stay covered too."""
    rng = np.random.default_rng(0)
    covered = np.zeros((400, 8))
    for number in range(400):
        runs = rng.normal(size=(8, 3)) * np.r_[3.0, np.ones(7)][:, None]
        table = spread(*runs)
        for row, points in enumerate(runs):
            found = table.training(points, ALONE)
            reach = stats.t.ppf(0.975, found.dof) * math.sqrt(found.variance)
            covered[number, row] = abs(points.mean()) <= reach
    assert covered[:, 0].mean() > 0.92, "0.81 with the degrees of freedom of the table"
    assert covered[:, 1:].mean() > 0.95


@pytest.mark.parametrize("folds", [5, 10])
def test_the_factor_of_folds_is_that_of_means_with_their_correlation(folds):
    """Simulated: folds with a part in common, whose spread does not show it."""
    rng = np.random.default_rng(0)
    correlation = 1 / (2 * folds)
    common = math.sqrt(correlation) * rng.normal(size=(200_000, 1))
    values = common + math.sqrt(1 - correlation) * rng.normal(size=(200_000, folds))
    shown = values.var(axis=1, ddof=1).mean() / folds
    assert values.mean(axis=1).var() / shown == pytest.approx(inflation(folds), rel=0.02)
    found = Training.over_folds(values[0], folds)
    assert found.variance == pytest.approx(inflation(folds) * values[0].var(ddof=1) / folds)
    assert found.dof == folds - 1


def test_without_folds_nothing_is_larger_and_nothing_is_known():
    assert inflation(1) == 1
    assert Training.over_folds(np.array([0.5]), 1) is None
    assert Training.over_folds(np.array([0.5, math.nan]), 2) is None
