"""The mean of a metric over runs, and how sure it is: patients and retraining together.

A *run* is one training protocol carried out once: one seed, all folds. Two things could have come
out otherwise: which patients were tested, and what the random numbers of training did.

The first is resampled (:mod:`mritk.evaluate.resampling`), with the same patients in every run. It
is widened for patients of unequal size, for classes without any spread
(:mod:`mritk.evaluate.unseen`) and for folds, whose training samples overlap
(:mod:`mritk.evaluate.fold_overlap`). The second is the spread between runs
(:mod:`mritk.evaluate.run_spread`), whose variance over S is added.

Few patients or runs make the variance itself uncertain: ends are Student's, with
Welch–Satterthwaite degrees of freedom over strata and runs, on a scale on which the estimate is
nearly normal (:mod:`mritk.evaluate.scale`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.distributions import normal_quantile, normal_tail, student_quantile
from mritk.evaluate.interval import LEVEL, UNBOUNDED, Interval, quantile
from mritk.evaluate.resampling import SEED, Units
from mritk.evaluate.rounding import ROUNDING, one_value
from mritk.evaluate.run_spread import RunSpread, Training
from mritk.evaluate.scale import Scale

MOST_DEGENERATE = 0.5
# BCa covers 91 to 92 % of 8 to 16 patients: it knows skewness, but not how little they tell of it.
FEWEST_OF_BCA = 30
# An interval so many times as wide as an error is large tells nothing; its end has many digits.
WIDEST = 1000
TOO_WIDE = f"few samples decide, so it would be more than {WIDEST:,} times as wide as the score"


@dataclass(frozen=True)
class Hidden:
    """What resampled patients do not show of the variance of a mean over patients.

    Attributes:
        unseen: Variance to add for strata without spread.
        overlap: By how much it is larger for folds, which share training samples.
    """

    unseen: float = 0.0
    overlap: float = 1.0


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean over S runs with its R resampled values.

    Attributes:
        point: The mean over the runs.
        replicates: (R,) resampled values of the mean, patients and runs drawn; none is NaN.
        standard_error: Of the mean; NaN where there are none.
        dof: Degrees of freedom of the standard error.
        degenerate: Number of resamples without a value.
        jackknife: (U,) values of the mean with one unit left out; None unless BCa is asked for.
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
        self,
        units: Units,
        bounds: tuple[float, float] = UNBOUNDED,
        method: str = "student",
        scale: Scale | None = None,
    ) -> Interval:
        """Return the interval of 95 %.

        Args:
            units: What was resampled.
            bounds: The range of the metric.
            method: ``student``; or ``percentile`` or ``bca`` of the replicates.
            scale: On which Student's interval is symmetric; None: that of the bounds.
        """
        if self.reason:
            return Interval.undefined(self.reason)
        if method == "bca":
            if len(units.stratum) < FEWEST_OF_BCA:
                return Interval.undefined(
                    f"BCa requires at least {FEWEST_OF_BCA} patients (or duplicate groups); "
                    f"there are {len(units.stratum)}; remove --interval bca"
                )
            low, high = self._bca(units)
        elif method == "percentile":
            low, high = self._percentile()
        else:
            own = scale or Scale(*bounds)
            low, high = own.ends(self.point, quantile(self.dof) * self.standard_error)
            distance = own.steps(np.asarray([self.point])).item()
            if own.half_bounded and 0 < WIDEST * distance < high - low:
                return Interval.undefined(TOO_WIDE)
        return Interval(
            float(max(low, bounds[0])),
            float(min(high, bounds[1])),
            self.standard_error,
            LEVEL,
            len(self.replicates),
            self.degenerate,
        )

    def _percentile(self) -> tuple[float, float]:
        low, high = np.quantile(self.replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        c = quantile(self.dof) / quantile(math.inf)  # Student's to the normal one
        return self.point + c * (low - self.point), self.point + c * (high - self.point)

    def _bca(self, units: Units) -> tuple[float, float]:
        """Return the ends corrected for bias and acceleration.

        Efron & Tibshirani 1993, An Introduction to the Bootstrap, equations 14.9 to 14.15, the
        acceleration summed over strata; Student's quantiles stand in place of normal ones.
        """
        below = (self.replicates < self.point).mean() + (self.replicates == self.point).mean() / 2
        share = np.clip(below, 1 / (len(self.replicates) + 1), None)
        z0 = normal_quantile(min(share, 1 - 1 / (len(self.replicates) + 1)))
        a = acceleration(self.jackknife, units)
        ends = []
        for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
            z = z0 + student_quantile(tail, self.dof)
            ends.append(normal_tail(-(z0 + z / max(1 - a * z, 1e-6))))
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
    hidden: Hidden | None = None,
) -> Estimate:
    """Combine the runs of one row, or the differences between the runs of two rows.

    Args:
        points: (S,) value of each run.
        values: (S, R) value of each run in each resample of the units; NaN where undefined.
        weights: (R, U) weights of the units in the resamples.
        units: The units and their strata.
        spread: How much runs of other rows differ; None: nothing is known.
        hidden: What resamples do not show; None: nothing.
    """
    hidden = hidden or Hidden()
    point = float(points.mean())
    spread = spread or RunSpread()
    folds = spread.folds
    valid = np.isfinite(values).all(axis=0)
    lost = int((~valid).sum())

    def without(reason: str) -> Estimate:
        training = folds or spread.training(points, values)
        none = np.empty(0)
        return Estimate(point, none, math.nan, math.nan, lost, reason=reason, training=training)

    if not math.isfinite(point):
        return without("the value itself is undefined")
    if (units.sizes < 2).any():
        what = "a class has" if len(units.sizes) > 1 else "there is"
        one = "only one patient (or duplicate group)"
        return without(f"{what} {one}, so its variance is unknown")
    if lost > MOST_DEGENERATE * len(valid):
        return without(f"{lost} of {len(valid)} resamples are undefined")
    if lost:
        values, weights = values[:, valid], weights[valid]
    mean = values.mean(axis=0)
    if one_value(mean) and one_value(points):
        return without("every resample gives the same value, so its variance is unknown")
    training = spread.training(points, values)
    shown, shown_dof = _of_patients(mean, weights, units)
    # What is assumed rests on no estimate.
    parts = [(hidden.overlap * shown, shown_dof), (hidden.overlap * hidden.unseen, math.inf)]
    if training is not None:
        parts.append((training.variance, training.dof))
    total = sum(part for part, _ in parts)
    if folds is not None and folds.variance > total:
        parts.append((folds.variance - total, folds.dof))
        total = folds.variance
    drawn = np.random.default_rng(SEED + 1).normal(size=len(mean))
    replicates = mean + math.sqrt(max(total - float(mean.var()), 0.0)) * drawn
    squares = sum(part**2 / dof for part, dof in parts if part > 0)
    dof = total**2 / squares if squares else math.inf
    error = math.sqrt(total)
    return Estimate(point, replicates, error, dof, lost, training=training or folds)


def _of_patients(mean: np.ndarray, weights: np.ndarray, units: Units) -> tuple[float, float]:
    """Return the variance that resampled units show, and its degrees of freedom.

    The covariance of a unit's weight and the mean estimates its influence (Efron 2014, Estimation
    and accuracy after model selection, JASA 109, equation 3.6); what chance adds to the squares
    of R resamples is taken off. Resamples are right for n units of one size; those of unequal
    sizes are worth fewer, k, and show (k - 1) / k of their variance. Strata may be many and of two
    units each, whose squared variances are thrice too large: Welch's degrees of freedom allow for
    that (Welch 1947, The generalization of 'Student's' problem when several different population
    variances are involved, Biometrika 34, 28–35).
    """
    centred = (mean - mean.mean()).astype(np.float32)
    influence = (centred @ weights).astype(np.float64) / len(mean)
    chance = float(mean.var()) / len(mean)
    spread = np.bincount(units.stratum, influence**2) - units.sizes * chance
    spread = np.maximum(spread, 0.0)
    total = float(spread.sum())
    if not total > 0:
        return 0.0, 1.0
    sizes, worth = units.sizes, np.maximum(units.effective, 1 + ROUNDING)
    unequal = worth / (worth - 1) * (sizes - 1) / sizes
    parts = spread * unequal * (float(mean.var()) / total)
    variance = float(parts.sum())
    dof = variance**2 / float((parts**2 / (units.dof + 2)).sum()) - 2
    return variance, max(dof, float(units.dof.min()))
