"""The difference between two models, as a test that knows no runs judges it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mritk.evaluate.interval import Interval


@dataclass(frozen=True)
class Difference:
    """A difference with its interval and p.

    Attributes:
        difference: First minus second.
        interval: Of the difference; without ends where there is no p.
        p: Two-sided; NaN if there is a ``reason``.
        statistic: Difference in units of its standard error; NaN for an exact test.
        dof: Degrees of freedom of that standard error; infinite: p is normal, or exact.
    """

    difference: float
    interval: Interval
    p: float = math.nan
    statistic: float = math.nan
    dof: float = math.inf

    @classmethod
    def untested(cls, difference: float, reason: str) -> Difference:
        """Return a difference that the test says nothing of."""
        return cls(difference, Interval.undefined(reason))

    @property
    def reason(self) -> str:
        """Why there is no p, or empty."""
        return self.interval.reason
