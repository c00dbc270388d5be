"""An interval of confidence, and how it was obtained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mritk.evaluate.distributions import normal_quantile, student_quantile

LEVEL = 0.95
UNBOUNDED = (-math.inf, math.inf)
POSITIVE = (0.0, math.inf)


@dataclass(frozen=True)
class Interval:
    """Where a number lies with the confidence ``level``.

    Attributes:
        low: Lower end; NaN if there is no interval.
        high: Upper end.
        standard_error: Standard deviation of the resampled values.
        level: Confidence.
        resamples: How many resamples it rests on.
        degenerate: How many further ones had no value, for instance for want of a class.
        reason: Why there is no interval, or empty.
        conservative: Why it may hold the number more often than ``level`` says, or empty.
    """

    low: float
    high: float
    standard_error: float = math.nan
    level: float = LEVEL
    resamples: int = 0
    degenerate: int = 0
    reason: str = ""
    conservative: str = ""

    @classmethod
    def undefined(cls, reason: str) -> Interval:
        """Return an interval that does not exist."""
        return cls(math.nan, math.nan, reason=reason)

    @classmethod
    def around(
        cls,
        value: float,
        standard_error: float,
        dof: float = math.inf,
        bounds: tuple[float, float] = UNBOUNDED,
    ) -> Interval:
        """Return Student's interval of a value, no wider than its bounds.

        ``dof`` are those of the standard error; infinite: the interval is normal.
        """
        reach = quantile(dof) * standard_error
        low, high = max(value - reach, bounds[0]), min(value + reach, bounds[1])
        return cls(low, high, standard_error)

    @property
    def width(self) -> float:
        """Distance between the ends."""
        return self.high - self.low

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def quantile(dof: float) -> float:
    """Return how many standard errors an interval reaches, by Student's distribution."""
    upper = (1 + LEVEL) / 2
    return normal_quantile(upper) if math.isinf(dof) else student_quantile(upper, dof)
