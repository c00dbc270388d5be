"""The exchange of units against scipy's paired permutation test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mritk.evaluate.metrics import find_metric
from mritk.evaluate.unit_swaps import ScoredTwice, swap_test

ACCURACY = find_metric("accuracy")


def both(units, images=1, seed=0, better=0.2):
    """Two models, one of them better, on images of patients."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), images)
    target = unit % 2
    right = [rng.random(len(unit)) < share for share in (0.6 + better, 0.6)]
    first, second = (np.eye(2)[np.where(ok, target, 1 - target)] for ok in right)
    return ScoredTwice(target, first, second, unit)


@pytest.mark.parametrize("seed", range(4))
def test_few_units_are_exchanged_in_every_way_as_scipy_does(seed):
    pair = both(9, images=3, seed=seed)
    hits = [(score.argmax(axis=1) == pair.target) * 1.0 for score in (pair.first, pair.second)]
    per_unit = [np.bincount(pair.unit, hit) for hit in hits]
    expected = stats.permutation_test(
        per_unit, lambda a, b: np.mean(a - b), permutation_type="samples"
    )
    assert swap_test(ACCURACY, [[pair]]) == pytest.approx(expected.pvalue)


def test_many_units_are_exchanged_at_random():
    pair = both(60, seed=1)
    hits = [(score.argmax(axis=1) == pair.target) * 1 for score in (pair.first, pair.second)]
    b, c = ((hits[i] > hits[1 - i]).sum() for i in (0, 1))
    expected = stats.binomtest(int(b), int(b + c)).pvalue  # McNemar's exact test is this one
    assert swap_test(ACCURACY, [[pair]]) == pytest.approx(expected, abs=0.02)


def test_the_largest_difference_has_the_smallest_p_that_there_is():
    target = np.arange(40) % 4
    right, wrong = np.eye(4)[target], np.eye(4)[(target + 1) % 4]
    pair = ScoredTwice(target, right, wrong, np.arange(40))
    assert swap_test(find_metric("balanced_accuracy"), [[pair]]) == pytest.approx(1 / 5000)


def test_equal_models_are_called_different_in_at_most_5_percent():
    p = [swap_test(ACCURACY, [[both(10, seed=seed, better=0.0)]]) for seed in range(200)]
    assert np.mean(np.asarray(p) <= 0.05) <= 0.06
