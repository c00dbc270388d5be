"""The scale on which an estimate is nearly normal: where ends are symmetric, and never leave it.

Close to a bound estimates are skewed, and their standard error goes to 0 with the distance from it:
of 20 patients who are all right but one, mean ± 2 SE says nothing. On the log odds of where a value
lies between its bounds neither is so: the logit of a share, Fisher's z of a correlation (Fisher
1921, On the probable error of a coefficient of correlation, Metron 1, 3–32; for shares of clusters:
Brown, Cai & DasGupta 2001, Interval estimation for a binomial proportion, Stat. Sci. 16, 101–133).
With one bound it is the logarithm of the distance from it; without any, the value itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scale:
    """A transformation that takes what lies between two bounds to all numbers.

    Attributes:
        low: Lower bound, may be minus infinity.
        high: Upper bound, may be infinity.
    """

    low: float = -math.inf
    high: float = math.inf

    @property
    def half_bounded(self) -> bool:
        """Whether there is one bound, as of errors: nothing holds the other end."""
        return math.isfinite(self.low) != math.isfinite(self.high)

    def steps(self, values: np.ndarray) -> np.ndarray:
        """Return how much of values (N,) within the bounds a step on the scale is; 0 at a bound."""
        below, above = values - self.low, self.high - values
        if math.isfinite(self.low) and math.isfinite(self.high):
            return np.asarray(below * above / (self.high - self.low))
        if math.isfinite(self.low):
            return below
        return above if math.isfinite(self.high) else np.ones(len(values))

    def onto(self, values: np.ndarray) -> np.ndarray:
        """Return values (N,), at no bound, on the scale, where a step has the length 1."""
        below, above = values - self.low, self.high - values
        if math.isfinite(self.low) and math.isfinite(self.high):
            return np.log(below / above)
        if math.isfinite(self.low):
            return np.log(below)
        return -np.log(above) if math.isfinite(self.high) else values

    def off(self, at: float) -> float:
        """Return the value that is here on the scale: the inverse of :meth:`onto`."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return self.high - (self.high - self.low) / (1 + _exp(at))
        if math.isfinite(self.low):
            return self.low + _exp(at)
        return self.high - _exp(-at) if math.isfinite(self.high) else at

    def ends(self, value: float, reach: float) -> tuple[float, float]:
        """Return the ends of value ± reach, as long as they are here where it is not bounded.

        Args:
            value: Between the bounds. At a bound there is no scale: the ends are value ± reach.
            reach: As far as the ends would be apart from the value without bounds.
        """
        bounded = (math.isfinite(self.low), math.isfinite(self.high))
        if not any(bounded) or not self.low < value < self.high:
            return value - reach, value + reach
        below, above = value - self.low, self.high - value
        if not all(bounded):
            factor = _exp(reach / (below if bounded[0] else above))
            if bounded[0]:
                return self.low + below / factor, self.low + below * factor
            return self.high - above * factor, self.high - above / factor
        factor = _exp(reach * (1 / below + 1 / above))
        odds, width = below / above, self.high - self.low
        return self.high - width / (1 + odds / factor), self.high - width / (1 + odds * factor)


def _exp(x: float) -> float:
    return math.exp(min(x, 500.0))
