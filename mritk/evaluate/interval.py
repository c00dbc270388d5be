"""An interval of confidence, and how it was obtained."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
    """

    low: float
    high: float
    standard_error: float = math.nan
    level: float = 0.95
    resamples: int = 0
    degenerate: int = 0
    reason: str = ""

    @classmethod
    def undefined(cls, reason: str) -> Interval:
        """Return an interval that does not exist."""
        return cls(math.nan, math.nan, reason=reason)

    @property
    def width(self) -> float:
        """Distance between the ends."""
        return self.high - self.low

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high
