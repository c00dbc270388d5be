"""The gap between groups and the worst group: closed forms, symmetries, and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mritk.evaluate.group_gap import GroupScores, _distance_to_gap
from mritk.evaluate.scale import Scale


def scores(points, errors, dof=math.inf, **more) -> GroupScores:
    names = [f"g{number}" for number in range(len(points))]
    return GroupScores(
        names,
        np.asarray(points, float),
        np.asarray(errors, float),
        np.full(len(points), dof),
        **more,
    )


def test_the_gap_of_two_groups_is_that_of_their_difference():
    """Far from 0, the test is the normal one of a difference of two means."""
    value, interval = scores([0.9, 0.5], [0.03, 0.04]).gap()
    reach = stats.norm.ppf(0.975) * 0.05
    assert value == pytest.approx(0.4)
    assert (interval.low, interval.high) == pytest.approx((0.4 - reach, 0.4 + reach), abs=0.006)


def test_the_gap_of_two_groups_that_may_be_equal_reaches_zero():
    """Its ends are those of the folded normal: 0 is refused where |z| exceeds 1.96."""
    assert scores([0.70, 0.61], [0.03, 0.04]).gap()[1].low == 0
    assert scores([0.70, 0.59], [0.03, 0.04]).gap()[1].low > 0


def test_many_equal_groups_make_a_gap_that_is_not_one():
    """The range of eight normal values is 2.85 standard errors on average (Tippett 1925)."""
    rng = np.random.default_rng(1)
    points = rng.normal(0.8, 0.05, 8)
    value, interval = scores(points, [0.05] * 8).gap()
    assert value > 0.1
    assert interval.low == 0


def test_the_worst_of_groups_that_may_be_equal_may_be_as_good_as_all():
    """It was picked for being the lowest: the interval reaches up to what all have in common."""
    points, error = [0.80, 0.80, 0.79, 0.74], 0.05
    name, value, interval = scores(points, [error] * 4).worst(higher_is_better=True)
    assert (name, value) == ("g3", 0.74)
    assert interval.high > np.mean(points) + error / 2
    assert interval.low > 0.74 - 2.4 * error


def test_a_clearly_worst_group_has_the_interval_of_its_own():
    _, _, interval = scores([0.9, 0.92, 0.3], [0.01, 0.01, 0.04]).worst(higher_is_better=True)
    reach = stats.norm.ppf(0.975) * 0.04
    assert (interval.low, interval.high) == pytest.approx((0.3 - reach, 0.3 + reach), abs=0.006)


def test_of_an_error_the_largest_is_worst():
    given = scores([5.0, 7.5, 4.0], [0.5, 0.6, 0.4], dof=30)
    turned = scores([-5.0, -7.5, -4.0], [0.5, 0.6, 0.4], dof=30)
    name, value, interval = given.worst(higher_is_better=False)
    _, _, mirrored = turned.worst(higher_is_better=True)
    assert (name, value) == ("g1", 7.5)
    assert (interval.low, interval.high) == pytest.approx((-mirrored.high, -mirrored.low))


@pytest.mark.slow
def test_six_groups_that_truly_differ_have_an_interval_no_wider_than_it_need_be():
    """Around the scores moved as little as possible, it covers 96.5 %."""
    truth = np.array([0.91, 0.87, 0.82, 0.77, 0.70, 0.63])
    errors, rng = np.array([4.4, 5.3, 6.0, 6.9, 7.4, 7.7]) / 100, np.random.default_rng(5)
    refused = []
    for points in rng.normal(truth, errors, (1000, 6)):
        given = scores(points, errors, draws=512)
        refused.append(given.refused_as_gap()(np.ptp(truth)))
    assert np.mean(refused) == pytest.approx(0.05, abs=0.014)


def test_scores_that_are_all_alike_may_have_a_gap_all_the_same():
    value, interval = scores([0.8, 0.8, 0.8], [0.03, 0.04, 0.05]).gap()
    assert (value, interval.low) == (0, 0)
    assert 0.05 < interval.high < 0.2


def test_intervals_stay_within_the_range_of_the_metric():
    given = scores([0.99, 0.02], [0.01, 0.02], bounds=(0.0, 1.0))
    assert given.gap()[1].high == 1
    _, _, interval = given.worst(higher_is_better=True)
    assert 0 < interval.low < 0.02 < interval.high < 0.2


def test_a_clearly_worst_group_has_the_interval_that_it_has_alone():
    """Of a metric with bounds: symmetric on the scale of log odds."""
    given = scores([0.95, 0.93, 0.3], [0.01, 0.01, 0.04], bounds=(0.0, 1.0))
    _, _, interval = given.worst(higher_is_better=True)
    alone = Scale(0.0, 1.0).ends(0.3, stats.norm.ppf(0.975) * 0.04)
    assert (interval.low, interval.high) == pytest.approx(alone, abs=0.006)


def test_a_score_at_a_bound_has_no_log_odds_and_an_interval_all_the_same():
    given = scores([1.0, 0.8, 0.6], [0.02, 0.03, 0.04], bounds=(0.0, 1.0))
    _, _, interval = given.worst(higher_is_better=True)
    assert 0.45 < interval.low < 0.6 < interval.high < 0.75


def test_less_certain_groups_widen_the_interval():
    narrow = scores([0.9, 0.7, 0.6], [0.03] * 3).gap()[1]
    unsure = scores([0.9, 0.7, 0.6], [0.03] * 3, dof=5).gap()[1]
    assert unsure.low < narrow.low < narrow.high < unsure.high


@pytest.mark.parametrize("gap", [0.05, 0.2, 0.31, 0.5])
def test_scores_move_as_little_as_they_can_to_have_a_gap(gap):
    """Against scipy: minimise the squared distance under the constraint."""
    from scipy.optimize import minimize

    points, variance = np.array([0.9, 0.72, 0.65, 0.59]), np.array([4.0, 1.0, 9.0, 2.0]) * 1e-4
    (distance,) = _distance_to_gap(points[None], variance, gap)

    def of_pair(up: int, down: int) -> float:
        """The minimum with two groups at the ends of the window and the others within it."""

        def cost(low: float) -> float:
            at = np.clip(points, low, low + gap)
            at[up], at[down] = low + gap, low
            return float(((points - at) ** 2 / variance).sum())

        starts = np.linspace(0.2, 1.0, 30)
        best = starts[np.argmin([cost(start) for start in starts])]
        return float(minimize(lambda x: cost(x[0]), [best], method="Nelder-Mead").fun)

    least = min(of_pair(up, down) for up in range(4) for down in range(4) if up != down)
    assert distance == pytest.approx(least, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_intervals_hold_what_the_tests_do_not_refuse(higher_is_better):
    given = scores([0.9, 0.72, 0.65, 0.61], [0.02, 0.03, 0.05, 0.03], dof=9, bounds=(0.0, 1.0))
    _, gap = given.gap()
    _, _, worst = given.worst(higher_is_better=higher_is_better)
    for interval, refused in (
        (gap, given.refused_as_gap()),
        (worst, given.refused_as_worst(higher_is_better=higher_is_better)),
    ):
        inside = np.linspace(interval.low + 0.002, interval.high - 0.002, 5)
        assert not any(refused(value) for value in inside)
        assert refused(interval.low - 0.002)
        assert refused(interval.high + 0.002)


@pytest.mark.slow
@pytest.mark.parametrize("truth", [(0.8, 0.8, 0.8, 0.8), (0.9, 0.8, 0.75, 0.6)])
def test_intervals_cover_the_truth(truth):
    """95 % of 100 draws, within what chance allows for."""
    errors, rng = np.array([0.05, 0.07, 0.06, 0.08]), np.random.default_rng(3)
    gap, worst = [], []
    for points in rng.normal(truth, errors, (100, 4)):
        drawn = scores(points, errors, draws=512)
        gap.append(not drawn.refused_as_gap()(np.ptp(truth)))
        worst.append(not drawn.refused_as_worst(higher_is_better=True)(min(truth)))
    assert stats.binomtest(sum(gap), 100, 0.95).pvalue > 0.01
    assert stats.binomtest(sum(worst), 100, 0.95).pvalue > 0.01


def test_a_part_of_what_retraining_changes_moves_the_worst_with_all_groups():
    """It makes no gap; and the worst of equal groups owes less to luck."""
    points, errors = [0.8, 0.8, 0.8], [0.03] * 3
    apart, moved = scores(points, errors), scores(points, errors, shared=np.full(3, 0.03))
    assert repr(moved.gap()) == repr(apart.gap()), "which a NaN among them does not change"
    (_, _, narrow), (_, _, wide) = (given.worst(higher_is_better=True) for given in (apart, moved))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(("dof", "shared_dof"), [(math.inf, math.inf), (20.0, 30.0)])
def test_errors_in_common_add_up_to_what_each_group_has(dof, shared_dof):
    """Variances on the diagonal, a quarter of the variance of retraining elsewhere."""
    errors, shared = np.array([0.03, 0.05, 0.04]), np.array([0.02, 0.05, 0.0])
    given = scores([0.8, 0.7, 0.9], errors, dof, shared=shared, shared_dof=shared_dof)
    found = np.cov(given._noise_in_common().T)
    expected = np.outer(shared, shared) / 4
    np.fill_diagonal(expected, errors**2)
    wider = 1 if math.isinf(dof) else stats.t.var(dof)
    assert found == pytest.approx(expected * wider, rel=0.1, abs=4e-5)
