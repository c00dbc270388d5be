"""How much groups differ, and how the worst of them fares: gap and worst group, with intervals.

The largest of several differences, and the lowest of several scores, are picked after the fact:
noise alone makes a gap, and an interval around what was observed leaves out the truth too often.
So the interval holds every value that a likelihood-ratio test does not refuse. The distance by
which the scores of the groups must move to have a supposed gap (or worst score), in standard
errors, is compared with that of scores that are simulated around a supposed truth which has it
(hybrid resampling: Chuang & Lai 2000, Hybrid resampling methods for confidence intervals, Stat.
Sin. 10, 1–50).

Noise spreads scores; so the supposed truth is the scores drawn together. For a gap, as far as it
asks for: moved as little as possible, several groups would lie at either end, which is rare among
true scores, and widens the interval. For the worst group, by James & Stein's estimate. The worst
group is tested on the scale on which scores are nearly normal (:mod:`mritk.evaluate.scale`): closer
to a bound errors are smaller, and of equal groups the worst would have the largest.

How much of what retraining changes is common to all groups is unknown. Whatever is makes no gap;
for the worst group, a quarter is supposed to be.
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

DRAWS = 2048  # a power of two, as Sobol's points want it
HALVINGS = 12
FARTHEST = 8.0  # standard errors of the least certain group
TINY = 1e-12
COMMON = 0.25


@dataclass(frozen=True, eq=False)
class GroupScores:
    """The scores of G groups of different patients.

    Attributes:
        names: Names of the groups.
        points: (G,) scores.
        errors: (G,) standard errors, all positive.
        dof: (G,) degrees of freedom of the standard errors.
        bounds: The range of scores.
        shared: (G,) standard errors of retraining alone, within these; 0 where they are unknown.
        shared_dof: Their degrees of freedom.
        draws: Number of simulated scores per test.
    """

    names: Sequence[str]
    points: np.ndarray
    errors: np.ndarray
    dof: np.ndarray
    bounds: tuple[float, float] = UNBOUNDED
    shared: np.ndarray | float = 0.0
    shared_dof: float = math.inf
    draws: int = DRAWS

    def gap(self) -> tuple[float, Interval]:
        """Return the difference between the best and the worst group, and its interval."""
        found, width = float(np.ptp(self.points)), self.bounds[1] - self.bounds[0]
        low, high = self._ends(self.refused_as_gap(), found, lowest=0.0)
        return found, Interval(max(low, 0.0), min(high, width))

    def refused_as_gap(self) -> Callable[[float], bool]:
        """Return the test of whether a number is not the true gap."""
        return self._test(_distance_to_gap, self._drawn_to, self._noise())

    def worst(self, *, higher_is_better: bool) -> tuple[str, float, Interval]:
        """Return name and score of the worst group, and an interval of the worst true score.

        Args:
            higher_is_better: Which score is worst.
        """
        scale, turned = self._turned(higher_is_better=higher_is_better)
        at = int(turned.points.argmin())
        ends = turned._ends(turned._refused_as_lowest(), float(turned.points[at]))
        low, high = sorted(scale.off(end if higher_is_better else -end) for end in ends)
        inside = Interval(max(low, self.bounds[0]), min(high, self.bounds[1]))
        return self.names[at], float(self.points[at]), inside

    def refused_as_worst(self, *, higher_is_better: bool) -> Callable[[float], bool]:
        """Return the test of whether a number is not the worst true score."""
        scale, turned = self._turned(higher_is_better=higher_is_better)
        refused, sign = turned._refused_as_lowest(), 1.0 if higher_is_better else -1.0
        return lambda value: refused(sign * float(scale.onto(np.asarray([value]))[0]))

    def _turned(self, *, higher_is_better: bool) -> tuple[Scale, GroupScores]:
        """Return the scores where they are nearly normal, the worst lowest; and that scale."""
        scale = Scale(*self.bounds)
        if not (scale.steps(self.points) > 0).all():
            scale = Scale()  # there is no other at a bound
        points = scale.onto(self.points)
        steps = scale.steps(self.points)
        errors, shared = self.errors / steps, self.shared / steps
        turned = points if higher_is_better else -points
        return scale, replace(self, points=turned, errors=errors, shared=shared)

    def _refused_as_lowest(self) -> Callable[[float], bool]:
        supposed = partial(self._with_lowest, shrunk=self._shrunk())
        return self._test(_distance_to_lowest, supposed, self._noise_in_common())

    def _noise(self) -> np.ndarray:
        """Return errors (draws, G), each by itself."""
        return self.errors * _students(self._even(len(self.points)), self.dof)

    def _noise_in_common(self) -> np.ndarray:
        """Return errors (draws, G), of which groups have a part of that of retraining in common."""
        of_training = np.minimum((self.shared / self.errors) ** 2, 1.0)
        common = COMMON * of_training
        # Welch's formula the other way: what is left of the degrees of freedom.
        taken = (of_training**2 - (of_training - common) ** 2) / self.shared_dof
        left = (1 - common) ** 2 / np.maximum(1 / self.dof - taken, TINY)
        even = self._even(len(self.points) + 1)
        own = np.sqrt(1 - common) * _students(even[:, :-1], left)
        alike = np.sqrt(common) * _students(even[:, -1:], np.asarray(self.shared_dof))
        return np.asarray(self.errors * (own + alike))

    def _even(self, columns: int) -> np.ndarray:
        """Return numbers in [0, 1), (draws, columns), alike for every interval.

        Random ones would pass their luck on to all.
        """
        from scipy.stats import qmc

        return np.asarray(qmc.Sobol(columns, seed=SEED).random(self.draws))

    def _test(
        self, distance: _Distance, supposed: Callable[[float], np.ndarray], noise: np.ndarray
    ) -> Callable[[float], bool]:
        """Return whether the test refuses a value.

        Args:
            distance: How far scores must move to have a value.
            supposed: Takes a value; returns the supposed truth (G,) that has it.
            noise: (draws, G) errors of scores.
        """
        variance = self.errors**2

        def refused(value: float) -> bool:
            here = distance(self.points[None], variance, value)
            simulated = distance(supposed(value) + noise, variance, value)
            return bool((simulated >= here - TINY).mean() < 1 - LEVEL)

        return refused

    def _ends(
        self, refused: Callable[[float], bool], observed: float, lowest: float = -math.inf
    ) -> tuple[float, float]:
        """Return the least and the largest value that the test does not refuse."""
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

    def _drawn_to(self, gap: float) -> np.ndarray:
        """Return the scores (G,) drawn together, or apart, until they have this gap."""
        mean, found = self._mean, float(np.ptp(self.points))
        if not found > 0:
            return mean + gap * np.linspace(-0.5, 0.5, len(self.points))
        return mean + (self.points - mean) * (gap / found)

    def _with_lowest(self, lowest: float, shrunk: np.ndarray) -> np.ndarray:
        """Return scores (G,) of which this is the lowest: that of the group nearest to it.

        The others are supposed to be where they are once drawn together: chance made the best of
        them look better than they are.
        """
        at = np.maximum(shrunk, lowest)
        above = (self.points - lowest) / self.errors
        at[int(above.argmin() if (above > 0).all() else self.points.argmin())] = lowest
        return at

    @property
    def _mean(self) -> float:
        """The mean of the scores, weighted by how sure they are."""
        return float(np.average(self.points, weights=1 / self.errors**2))

    def _shrunk(self) -> np.ndarray:
        """Return the scores drawn together by what noise adds to their spread (James–Stein)."""
        mean = self._mean
        spread = float((((self.points - mean) / self.errors) ** 2).sum())
        share = max(0.0, 1 - (len(self.points) - 1) / spread) if spread > 0 else 0.0
        return mean + share * (self.points - mean)


def _students(even: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """Return even numbers in [0, 1) as those of Student's distribution."""
    from scipy.stats import t

    return np.asarray(t.ppf(even, np.where(np.isfinite(dof), dof, 1e9)))


# Takes scores (R, G), variances (G,) and a value; returns how far the scores must move to have
# that value, as squares in units of the variances, (R,).
_Distance = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def _distance_to_gap(points: np.ndarray, variance: np.ndarray, gap: float) -> np.ndarray:
    """Move scores until the best and the worst are ``gap`` apart; see :data:`_Distance`."""
    wide = np.ptp(points, axis=1) >= gap
    distance = np.empty(len(points))
    some = points[wide]
    low = _best_window(some, variance, gap)[:, None]
    distance[wide] = ((some - np.clip(some, low, low + gap)) ** 2 / variance).sum(axis=1)
    # Too close: one pair, the cheapest, moves apart.
    some = points[~wide]
    missing = np.maximum(gap - (some[:, :, None] - some[:, None, :]), 0.0)
    cost = missing**2 / (variance[:, None] + variance[None, :])
    cost[:, np.arange(len(variance)), np.arange(len(variance))] = math.inf
    distance[~wide] = cost.min(axis=(1, 2))
    return distance


def _best_window(points: np.ndarray, variance: np.ndarray, gap: float) -> np.ndarray:
    """Return the lower end (R,) of the window of width ``gap`` to which scores move least."""
    low, high = points.min(axis=1), points.max(axis=1) - gap
    for _ in range(16):
        middle = (low + high) / 2
        at = middle[:, None]
        pull = np.maximum(at - points, 0.0) - np.maximum(points - at - gap, 0.0)
        rising = (pull / variance).sum(axis=1) < 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return (low + high) / 2


def _distance_to_lowest(points: np.ndarray, variance: np.ndarray, lowest: float) -> np.ndarray:
    """Move scores until the worst is ``lowest``; see :data:`_Distance`."""
    up = (np.maximum(lowest - points, 0.0) ** 2 / variance).sum(axis=1)
    down = ((points - lowest) ** 2 / variance).min(axis=1)
    return np.where(points.min(axis=1) <= lowest, up, down)
