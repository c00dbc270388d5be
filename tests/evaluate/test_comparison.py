"""What one comparison of two rows says."""

from __future__ import annotations

import pytest
from scipy.stats import norm

from mritk.evaluate.comparison import Comparison
from mritk.evaluate.interval import Interval


def test_a_difference_without_spread_is_judged_by_its_p():
    """All resamples gave one difference: there is no error to divide by, but there is a test."""
    interval = Interval(-0.5, -0.5, standard_error=0.0)
    found = Comparison("a", "b", "accuracy", -0.5, interval, p=0.01, p_adjusted=0.01)
    # A normal difference of -0.5 with this p lies so many errors from 0, and from -0.1 so many.
    deviations = norm.isf(0.01 / 2) * 0.4 / 0.5
    assert found.p_beyond(-0.1, below=True) == pytest.approx(norm.sf(deviations))
    assert found.p_beyond(-0.6, below=True) == 1.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("below", [True, False])
def test_two_that_are_one_and_the_same_are_no_evidence_of_either_side(below):
    """A rule that wants an improvement, and networks that say the same: 0 of an error of 0."""
    found = Comparison("a", "b", "accuracy", 0.0, Interval.undefined("all agree"), 1.0, 1.0)
    assert found.p_beyond(0.01 if below else -0.01, below=below) == 0.5
    assert found.p_beyond(-0.01 if below else 0.01, below=below) == 1.0
    assert str(found.reversed.difference) == "0.0", "and not -0.0"
