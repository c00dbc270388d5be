"""What the data say about the difference between two rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from mritk.evaluate.distributions import normal_quantile, normal_tail, student_tail
from mritk.evaluate.holm import holm
from mritk.evaluate.interval import Interval


class Verdict(str, Enum):
    """Which of two is better, as far as the data tell."""

    BETTER = "better"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """The difference of one metric between two rows, on the same samples, seeds and folds.

    Attributes:
        first: Name of a row.
        second: Name of the other row.
        metric: Name of the metric.
        difference: First minus second; NaN if it is undefined.
        interval: Of the difference, for this pair alone.
        p: Probability of a difference this large if there is none, two-sided.
        p_adjusted: The same after Holm's correction over the family of comparisons.
        higher_is_better: Direction of the metric.
        dof: Degrees of freedom of the standard error in ``interval``.
        runs: Number of runs (seeds) that both have.
        untested: Why there is no p although there is a difference, or empty.
    """

    first: str
    second: str
    metric: str
    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    higher_is_better: bool = True
    dof: float = math.inf
    runs: int = 1
    untested: str = ""

    @property
    def tested(self) -> bool:
        """Whether there is a p; without one, no verdict means nothing."""
        return not math.isnan(self.p)

    @property
    def reason(self) -> str:
        """Why there is no p, or no interval; or empty."""
        return self.untested or self.interval.reason

    @property
    def verdict(self) -> Verdict:
        """Whether the first is better or worse than the second at the interval's level."""
        if not self.p_adjusted < 1 - self.interval.level:  # NaN is no evidence
            return Verdict.CANNOT_TELL
        better = (self.difference > 0) == self.higher_is_better
        return Verdict.BETTER if better else Verdict.WORSE

    @property
    def reversed(self) -> Comparison:
        """The same of the second row minus the first."""
        ends = replace(self.interval, low=-self.interval.high, high=-self.interval.low)
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=0.0 - self.difference,  # never -0
            interval=ends,
        )

    def p_beyond(self, tolerance: float, *, below: bool) -> float:
        """Return the probability of this difference if the true one were just ``tolerance``.

        One-sided; NaN where the difference was not tested. Where there is no interval, or one
        without width, the error is the one that a normal difference with this p has; a difference
        of 0 has p = 1, and tells of none.

        Args:
            tolerance: In the unit of the metric.
            below: Whether the difference is asked to lie below the tolerance, or above.
        """
        if not self.tested:
            return math.nan
        beyond = tolerance - self.difference if below else self.difference - tolerance
        if not beyond > 0:
            return 1.0
        if self.interval.reason or not self.interval.standard_error > 0:
            if self.difference == 0:
                return 0.5
            deviations = -normal_quantile(self.p / 2) * beyond / abs(self.difference)
            return normal_tail(deviations)
        return student_tail(beyond / self.interval.standard_error, self.dof)


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons with Holm's correction over all of them as one family."""
    corrected = holm(np.asarray([comparison.p for comparison in comparisons], dtype=np.float64))
    pairs = zip(comparisons, corrected, strict=True)
    return [replace(comparison, p_adjusted=float(p)) for comparison, p in pairs]
