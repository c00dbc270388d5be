"""The mean of a metric over runs, and how sure it is: patients and retraining together.

A *run* is one training protocol carried out once: one seed, all folds. Two things could have come
out otherwise: which patients were tested, and what the random numbers of training did.

The first is resampled (:mod:`mritk.evaluate.resampling`), with the same patients in every run. The
second is the spread between runs, whose variance over S is added, as normal deviations. Part of
that spread is the patients' doing again, since runs err on different ones; drawing patients and
runs together would count this part three times (Owen 2007, The pigeonhole bootstrap, Ann. Appl.
Stat. 1, 386–411). For scores it is taken off. For differences it is left in: what is taken off is
itself uncertain, and a false verdict is worse than a missed one (measured in docs/statistics.md).

Two or three runs may agree by luck. So the spread between runs is taken to be no smaller than that
of all rows (or pairs of rows) of the table together, :class:`RunSpread`.

Folds share training samples. Where there are folds, the variance of a difference is at least the
one that they show themselves (:class:`Training`), corrected for what they share.

Few patients or runs make the variance itself uncertain: ends are moved outwards by the ratio of
Student's to the normal quantile, with Welch–Satterthwaite degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.interval import Interval
from mritk.evaluate.resampling import SEED, Units

LEVEL = 0.95
MOST_DEGENERATE = 0.5
# Values that spread by less than this, relative to their size, are one value: the rest is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Training:
    """What training again could change of a mean.

    Attributes:
        variance: Of the mean.
        dof: Degrees of freedom that it rests on.
    """

    variance: float
    dof: float

    @classmethod
    def over_folds(cls, values: np.ndarray, folds: int) -> Training | None:
        """Return the variance of the mean of J values, one per fold, by Nadeau and Bengio.

        :mod:`mritk.evaluate.corrected_t` has the formula and its sources. None: it is unknown.

        Args:
            values: (J,) means over seeds.
            folds: Number k of folds that divide the samples; J = k, or a multiple for repeats.
        """
        if folds < 2 or len(values) < 2 or not np.isfinite(values).all():
            return None
        share = 1 / len(values) + 1 / (folds - 1)
        return cls(share * float(np.var(values, ddof=1)), len(values) - 1)


@dataclass(frozen=True)
class RunSpread:
    """How much the runs of a table differ.

    Attributes:
        variance: Mean variance between the runs of a row (n - 1); 0 if none has two runs.
        dof: Degrees of freedom that it rests on.
        cautious: Whether what patients add to it is left in.
        ignored: Whether the runs are taken as they are, as if nobody trained again.
        folds: What the folds show of the variance of the mean, patients included: the least that
            there is.
    """

    variance: float = 0.0
    dof: int = 0
    cautious: bool = False
    ignored: bool = False
    folds: Training | None = None

    @classmethod
    def over(
        cls, rows: Sequence[tuple[np.ndarray, np.ndarray]], most: int, *, cautious: bool
    ) -> RunSpread:
        """Return the spread over several rows.

        Args:
            rows: The runs of each row: their values (S,), and those in the resamples (S, R).
            most: Degrees of freedom at most; differences of the same rows are not independent.
            cautious: Whether to leave in what patients add to it.
        """
        several = [row for row in rows if len(row[0]) > 1 and np.isfinite(row[0]).all()]
        if not several:
            return cls(cautious=cautious)
        dof = [len(points) - 1 for points, _ in several]
        found = [between_runs(*row, cautious=cautious) for row in several]
        variance = float(np.average(found, weights=dof))
        return cls(max(0.0, variance), min(sum(dof), most), cautious)


def between_runs(points: np.ndarray, values: np.ndarray, *, cautious: bool) -> float:
    """Return the variance between runs (n - 1).

    Less what patients add to it, it may be below 0: runs agree better than different patients
    would let them.

    Args:
        points: (S,) value of each run.
        values: (S, R) value of each run in each resample of the patients.
        cautious: Whether to leave in what patients add to it.
    """
    if cautious:
        return float(points.var(ddof=1))
    known = values[:, np.isfinite(values).all(axis=0)]
    if not known.size:
        return float(points.var(ddof=1))
    of_patients = (known - known.mean(axis=0)).var(axis=1).sum() / (len(points) - 1)
    return float(points.var(ddof=1) - of_patients)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean over S runs with its R resampled values.

    Attributes:
        point: The mean over the runs.
        replicates: (R,) resampled values of the mean, patients and runs drawn; none is NaN.
        standard_error: Standard deviation of the replicates; NaN where there are none.
        dof: Degrees of freedom of the standard error.
        degenerate: Number of resamples without a value.
        jackknife: (U,) values of the mean with one unit left out; None unless asked for.
        reason: Why there are no replicates, or empty.
        training: What training again could change; None: nothing is known of it.
    """

    point: float
    replicates: np.ndarray
    standard_error: float
    dof: float
    degenerate: int = 0
    jackknife: np.ndarray | None = None
    reason: str = ""
    training: Training | None = None

    def interval(
        self, units: Units, bounds: tuple[float, float] = (-math.inf, math.inf)
    ) -> Interval:
        """Return the interval of 95 %: percentile, or BCa if there is a jackknife.

        Args:
            units: What was resampled.
            bounds: The range of the metric.
        """
        if self.reason:
            return Interval.undefined(self.reason)
        if self.jackknife is None:
            low, high = self._percentile()
        else:
            low, high = self._bca(units)
        return Interval(
            float(max(low, bounds[0])),
            float(min(high, bounds[1])),
            self.standard_error,
            LEVEL,
            len(self.replicates),
            self.degenerate,
        )

    @property
    def widening(self) -> float:
        """Ratio of Student's to the normal quantile."""
        from scipy.stats import norm, t

        upper = (1 + LEVEL) / 2
        return float(t.ppf(upper, self.dof) / norm.ppf(upper))

    def _percentile(self) -> tuple[float, float]:
        low, high = np.quantile(self.replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        c = self.widening
        return self.point + c * (low - self.point), self.point + c * (high - self.point)

    def _bca(self, units: Units) -> tuple[float, float]:
        """Return the ends corrected for bias and acceleration.

        Efron & Tibshirani 1993, An Introduction to the Bootstrap, equations 14.9 to 14.15, the
        acceleration summed over strata; Student's quantiles stand in place of normal ones.
        """
        from scipy.stats import norm, t

        below = (self.replicates < self.point).mean() + (self.replicates == self.point).mean() / 2
        share = np.clip(below, 1 / (len(self.replicates) + 1), None)
        z0 = float(norm.ppf(min(share, 1 - 1 / (len(self.replicates) + 1))))
        a = acceleration(self.jackknife, units)
        ends = []
        for quantile in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
            z = z0 + float(t.ppf(quantile, self.dof))
            ends.append(float(norm.cdf(z0 + z / max(1 - a * z, 1e-6))))
        low, high = np.quantile(self.replicates, ends)
        return float(low), float(high)


def acceleration(jackknife: np.ndarray | None, units: Units) -> float:
    """Return the acceleration of BCa from leave-one-unit-out values, (U,)."""
    if jackknife is None or not np.isfinite(jackknife).all():
        return 0.0
    sizes = units.sizes
    means = np.bincount(units.stratum, jackknife) / sizes
    n = sizes[units.stratum]
    influence = (n - 1) * (means[units.stratum] - jackknife) / n
    spread = float((influence**2).sum())
    return float((influence**3).sum() / (6 * spread**1.5)) if spread > 0 else 0.0


def estimate(
    points: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
    units: Units,
    spread: RunSpread | None = None,
    jackknife: np.ndarray | None = None,
) -> Estimate:
    """Combine the runs of one row, or the differences between the runs of two rows.

    Args:
        points: (S,) value of each run.
        values: (S, R) value of each run in each resample of the units; NaN where undefined.
        weights: (R, U) weights of the units in the resamples.
        units: The units and their strata.
        spread: How much runs of other rows differ; None: nothing is known.
        jackknife: (S, U) value of each run with one unit left out; for BCa.
    """
    point = float(points.mean())
    spread = spread or RunSpread()
    folds = spread.folds
    valid = np.isfinite(values).all(axis=0)
    lost = int((~valid).sum())

    def without(reason: str) -> Estimate:
        training = folds or _training(points, values, spread)
        none = np.empty(0)
        return Estimate(point, none, math.nan, math.nan, lost, reason=reason, training=training)

    if not math.isfinite(point):
        return without("the value itself is undefined")
    if (units.sizes < 2).any():
        return without("a class has one patient only, so its spread is unknown")
    if lost > MOST_DEGENERATE * len(valid):
        return without(f"{lost} of {len(valid)} resamples have no value")
    if lost:
        values, weights = values[:, valid], weights[valid]
    mean = values.mean(axis=0)
    of_patients = float(mean.var())
    if _one_value(mean) and _one_value(points):
        return without("every resample gives the same value, which says nothing of new patients")
    training, total = _training(points, values, spread), of_patients
    parts: list[tuple[float, float]] = list(_by_stratum(mean, weights, units))
    if training is not None:
        total += training.variance
        parts.append((training.variance, training.dof))
    if folds is not None and folds.variance > total:
        parts.append((folds.variance - total, folds.dof))
        total = folds.variance
    drawn = np.random.default_rng(SEED + 1).normal(size=len(mean))
    replicates = mean + math.sqrt(total - of_patients) * drawn
    squares = sum(part**2 / dof for part, dof in parts if part > 0)
    dof = sum(part for part, _ in parts) ** 2 / squares if squares else math.inf
    left_out = None if jackknife is None else jackknife.mean(axis=0)
    known, error = training or folds, math.sqrt(total)
    return Estimate(point, replicates, error, dof, lost, left_out, training=known)


def _one_value(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def _training(points: np.ndarray, values: np.ndarray, spread: RunSpread) -> Training | None:
    """Return what training again could change of the mean of S runs."""
    if spread.ignored:
        return Training(0.0, math.inf)
    runs = len(points)
    if runs < 2 and not spread.dof:
        return None
    own = between_runs(points, values, cautious=spread.cautious) if runs > 1 else 0.0
    return Training(float(max(own, spread.variance)) / runs, max(runs - 1, spread.dof))


def _by_stratum(mean: np.ndarray, weights: np.ndarray, units: Units) -> list[tuple[float, float]]:
    """Return the variance that each stratum contributes, and its degrees of freedom.

    The covariance of a unit's weight and the mean estimates its influence (Efron 2014, Estimation
    and accuracy after model selection, JASA 109, equation 3.6); what chance adds to the squares
    of R resamples is taken off.
    """
    centred = (mean - mean.mean()).astype(np.float32)
    influence = (centred @ weights).astype(np.float64) / len(mean)
    chance = float(mean.var()) / len(mean)
    spread = np.bincount(units.stratum, influence**2) - units.sizes * chance
    spread = np.maximum(spread, 0.0)
    total = float(spread.sum())
    scale = float(mean.var()) / total if total > 0 else 0.0
    return [(float(s) * scale, int(n) - 1) for s, n in zip(spread, units.sizes, strict=True)]
