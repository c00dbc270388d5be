"""What the data say about the difference between two rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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
        runs: Number of runs (seeds) that both have.
        reason: Why there is no difference, or empty.
    """

    first: str
    second: str
    metric: str
    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    higher_is_better: bool = True
    runs: int = 1
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the first is better or worse than the second at the interval's level."""
        if not self.p_adjusted < 1 - self.interval.level:  # NaN is no evidence
            return Verdict.CANNOT_TELL
        better = (self.difference > 0) == self.higher_is_better
        return Verdict.BETTER if better else Verdict.WORSE
