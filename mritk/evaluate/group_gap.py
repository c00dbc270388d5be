"""How much groups differ, and how the worst of them fares: gap and worst group, with intervals.

The largest of several differences, and the lowest of several scores, are picked after the fact:
noise alone makes a gap, and an interval around what was observed leaves out the truth too often.
So the interval holds every value that a likelihood-ratio test does not refuse. For a supposed gap
(or worst score) the scores of the groups move as little as they can to have it; the distance they
move, in standard errors, is compared with that of simulated scores around the moved ones (profile
bootstrap: Chuang & Lai 2000, Hybrid resampling methods for confidence intervals, Stat. Sin. 10,
1–50).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mritk.evaluate.interval import LEVEL, UNBOUNDED, Interval
from mritk.evaluate.resampling import SEED
from mritk.evaluate.scale import Scale

DRAWS = 2000
HALVINGS = 12
FARTHEST = 8.0  # standard errors of the least certain group
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class GroupScores:
    """The scores of G groups of different patients.

    Attributes:
        names: Names of the groups.
        points: (G,) scores.
        errors: (G,) standard errors, all positive.
        dof: (G,) degrees of freedom of the standard errors.
        bounds: The range of scores.
        draws: Number of simulated scores per test.
    """

    names: Sequence[str]
    points: np.ndarray
    errors: np.ndarray
    dof: np.ndarray
    bounds: tuple[float, float] = UNBOUNDED
    draws: int = DRAWS

    def gap(self) -> tuple[float, Interval]:
        """Return the difference between the best and the worst group, and its interval."""
        found, width = float(np.ptp(self.points)), self.bounds[1] - self.bounds[0]
        low, high = self._ends(_with_gap, found, lowest=0.0)
        return found, Interval(max(low, 0.0), min(high, width))

    def worst(self, *, higher_is_better: bool) -> tuple[str, float, Interval]:
        """Return name and score of the worst group, and an interval of the worst true score.

        Args:
            higher_is_better: Which score is worst.
        """
        sign = 1.0 if higher_is_better else -1.0
        at = int((sign * self.points).argmin())
        scale, steps = self._scale, self._scale.steps(self.points)
        turned = replace(self, points=sign * scale.onto(self.points), errors=self.errors / steps)
        shrunk = turned._shrunk()
        ends = turned._ends(partial(_with_lowest, shrunk=shrunk), float(turned.points[at]))
        low, high = sorted(scale.off(sign * end) for end in ends)
        inside = Interval(max(low, self.bounds[0]), min(high, self.bounds[1]))
        return self.names[at], float(self.points[at]), inside

    @property
    def _scale(self) -> Scale:
        """The scale on which scores are nearly normal; there is none at a bound."""
        scale = Scale(*self.bounds)
        return scale if (scale.steps(self.points) > 0).all() else Scale()

    def _ends(
        self, moved: _Moved, observed: float, lowest: float = -math.inf
    ) -> tuple[float, float]:
        """Return the least and the largest value that the test does not refuse."""
        rng = np.random.default_rng(SEED)
        normal = rng.standard_normal((self.draws, len(self.points)))
        dof = np.where(np.isfinite(self.dof), self.dof, 1e9)
        noise = self.errors * normal / np.sqrt(rng.chisquare(dof, normal.shape) / dof)
        variance = self.errors**2

        def refused(value: float) -> bool:
            distance, at = moved(self.points[None], variance, value)
            simulated, _ = moved(at + noise, variance, value)
            return bool((simulated >= distance[0] - TINY).mean() < 1 - LEVEL)

        reach = FARTHEST * float(self.errors.max())
        ends = []
        for far in (max(lowest, observed - reach), observed + reach):
            inside, outside = observed, far
            if not refused(far):
                ends.append(far)
                continue
            for _ in range(HALVINGS):
                middle = (inside + outside) / 2
                inside, outside = (inside, middle) if refused(middle) else (middle, outside)
            ends.append((inside + outside) / 2)
        return ends[0], ends[1]

    def _shrunk(self) -> np.ndarray:
        """Return the scores drawn together by what noise adds to their spread (James–Stein)."""
        weight = 1 / self.errors**2
        mean = float(weight @ self.points / weight.sum())
        spread = float(weight @ (self.points - mean) ** 2)
        share = max(0.0, 1 - (len(self.points) - 1) / spread) if spread > 0 else 0.0
        return mean + share * (self.points - mean)


# Takes scores (R, G), variances (G,) and a value; returns how far the scores must move to have
# that value, as squares in units of the variances, (R,), and where they then are, (R, G).
_Moved = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def _with_gap(
    points: np.ndarray, variance: np.ndarray, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Move scores so that the best and the worst are ``gap`` apart; see :data:`_Moved`."""
    low = _best_window(points, variance, gap)[:, None]
    clipped = np.clip(points, low, low + gap)
    together = ((points - clipped) ** 2 / variance).sum(axis=1)
    # Too close: one pair, the cheapest, moves apart.
    missing = np.maximum(gap - (points[:, :, None] - points[:, None, :]), 0.0)
    cost = missing**2 / (variance[:, None] + variance[None, :])
    groups, rows = points.shape[1], np.arange(len(points))
    cost[:, np.arange(groups), np.arange(groups)] = math.inf
    up, down = np.divmod(cost.reshape(len(points), -1).argmin(axis=1), groups)
    apart, step = points.copy(), missing[rows, up, down]
    share = variance[up] / (variance[up] + variance[down])
    apart[rows, up] += step * share
    apart[rows, down] -= step * (1 - share)
    wide = np.ptp(points, axis=1) >= gap
    return np.where(wide, together, cost[rows, up, down]), np.where(wide[:, None], clipped, apart)


def _best_window(points: np.ndarray, variance: np.ndarray, gap: float) -> np.ndarray:
    """Return the lower end (R,) of the window of width ``gap`` to which scores move least."""
    low = points.min(axis=1)
    high = np.maximum(points.max(axis=1) - gap, low)
    for _ in range(30):
        middle = (low + high) / 2
        at = middle[:, None]
        pull = np.maximum(at - points, 0.0) - np.maximum(points - at - gap, 0.0)
        rising = (pull / variance).sum(axis=1) < 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return (low + high) / 2


def _with_lowest(
    points: np.ndarray, variance: np.ndarray, lowest: float, *, shrunk: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move scores so that the worst is ``lowest``; see :data:`_Moved`.

    The other groups are supposed to be where they are once drawn together: chance made the best of
    them look better than they are.
    """
    up = (np.maximum(lowest - points, 0.0) ** 2 / variance).sum(axis=1)
    down = np.where(points > lowest, (points - lowest) ** 2 / variance, math.inf)
    nearest = down.argmin(axis=1)
    below = points.min(axis=1) <= lowest
    distance = np.where(below, up, down[np.arange(len(points)), nearest])
    at = np.maximum(shrunk, lowest)
    at[int(points[0].argmin()) if below[0] else nearest[0]] = lowest
    return distance, at[None]
