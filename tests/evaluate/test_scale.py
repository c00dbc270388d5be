"""Ends are symmetric on the scale where an estimate is nearly normal, and stay within bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from mritk.evaluate.scale import Scale


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_share_has_the_interval_of_its_logit(share):
    """Standard error by the delta method: that of the share over p (1 - p)."""
    error = 0.03 / (share * (1 - share))
    expected = expit(logit(share) + np.array([-error, error]))
    assert Scale(0, 1).ends(share, 0.03) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("r", [-0.9, 0.0, 0.95])
def test_a_correlation_has_the_interval_of_fishers_z(r):
    error = 0.05 / (1 - r**2)
    expected = np.tanh(np.arctanh(r) + np.array([-error, error]))
    assert Scale(-1, 1).ends(r, 0.05) == pytest.approx(tuple(expected))


def test_one_bound_makes_ends_equal_as_ratios():
    low, high = Scale(low=0).ends(2.0, 1.0)
    assert (low, high) == pytest.approx((2 / math.exp(0.5), 2 * math.exp(0.5)))
    below, above = Scale(high=1).ends(-1.0, 1.0)
    assert (1 - above, 1 - below) == pytest.approx((low, high))


def test_without_bounds_and_at_a_bound_ends_are_symmetric():
    assert Scale().ends(3.0, 1.0) == (2.0, 4.0)
    assert Scale(0, 1).ends(1.0, 0.25) == (0.75, 1.25)


BOUNDS = st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 2.0), (0.0, math.inf), (-math.inf, 1.0)])


@given(BOUNDS, st.floats(0.001, 0.999), st.floats(1e-6, 1e3))
def test_ends_stay_within_the_bounds_and_hold_the_value(bounds, share, reach):
    low, high = (b if math.isfinite(b) else math.copysign(5, b) for b in bounds)
    value = low + share * (high - low)
    ends = Scale(*bounds).ends(value, reach)
    assert bounds[0] <= ends[0] <= value <= ends[1] <= bounds[1]


@given(BOUNDS, st.floats(0.001, 0.999))
def test_what_is_put_onto_the_scale_comes_off_it_and_a_step_is_its_slope(bounds, share):
    low, high = (b if math.isfinite(b) else math.copysign(5, b) for b in bounds)
    scale, values = Scale(*bounds), np.array([low + share * (high - low)])
    (at,), (step,) = scale.onto(values), scale.steps(values)
    assert scale.off(at) == pytest.approx(values[0])
    assert (scale.off(at + 1e-5) - scale.off(at - 1e-5)) / 2e-5 == pytest.approx(step, rel=1e-4)


@given(BOUNDS, st.floats(0.05, 0.95))
def test_a_short_reach_is_the_same_on_every_scale(bounds, share):
    low, high = (b if math.isfinite(b) else math.copysign(5, b) for b in bounds)
    value = low + share * (high - low)
    ends = Scale(*bounds).ends(value, 1e-6)
    assert ends == pytest.approx((value - 1e-6, value + 1e-6), abs=1e-9)


@pytest.mark.parametrize("patients", [20, 60, 200])
@pytest.mark.parametrize("share", [0.8, 0.95])
def test_the_interval_of_a_share_covers(patients, share):
    """Exactly, over all numbers of right patients but none and all."""
    from scipy.stats import binom, norm

    right = np.arange(1, patients)
    chance = binom.pmf(right, patients, share) / binom.pmf(right, patients, share).sum()
    found = right / patients
    reach = norm.ppf(0.975) * np.sqrt(found * (1 - found) / patients)
    ends = np.array([Scale(0, 1).ends(*one) for one in zip(found, reach, strict=True)])
    covered = chance @ ((ends[:, 0] <= share) & (share <= ends[:, 1]))
    assert 0.93 <= covered <= 0.985
