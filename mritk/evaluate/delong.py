"""DeLong's test: do two scores separate a class from the rest equally well?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.difference import Difference
from mritk.evaluate.interval import Interval


@dataclass(frozen=True, eq=False)
class AUROCs:
    """Areas under ROC curves on the same samples, and how they vary together.

    Attributes:
        values: (M,) areas.
        covariance: (M, M) of the areas; NaN if there is a ``reason``.
        reason: Why there is no covariance, or empty.
    """

    values: np.ndarray
    covariance: np.ndarray
    reason: str = ""


def aurocs(
    positive: np.ndarray, scores: np.ndarray, unit: Sequence[Hashable] | None = None
) -> AUROCs:
    """Return the areas of M scores and their covariance.

    A sample's structural component is the share of the other class that it beats, ties counting
    half: a difference of midranks, hence O(N log N) (Sun & Xu 2014, Fast implementation of
    DeLong's algorithm, IEEE Signal Process. Lett. 21, 1389–1393, equations 13 to 16). Independent
    samples: DeLong, DeLong & Clarke-Pearson 1988, Comparing the areas under two or more
    correlated ROC curves, Biometrics 44, 837–845. Several samples of a unit: their components are
    summed per unit, and a unit with samples of both classes adds its covariance between them
    (Obuchowski 1997, Nonparametric analysis of clustered ROC curve data, Biometrics 53, 567–578).
    With one sample per unit the second is the first.

    Args:
        positive: (N,) bool, which samples are of the class.
        scores: (M, N), higher for the class.
        unit: N names of what each sample belongs to; None: all are independent.

    Raises:
        ValueError: Shapes do not fit, or scores are not finite.
    """
    if scores.ndim != 2 or positive.shape != scores.shape[1:] or positive.dtype != bool:
        raise ValueError(
            f"aurocs takes bool (N,) and scores (M, N), not {positive.shape}, {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError("scores are NaN or infinite")
    names = range(len(positive)) if unit is None else unit
    _, number = np.unique(np.asarray([str(name) for name in names]), return_inverse=True)
    nothing = np.full((len(scores), len(scores)), np.nan)
    if positive.all() or not positive.any():
        reason = "all samples are of the class, or none are"
        return AUROCs(np.full(len(scores), np.nan), nothing, reason)
    of_class, of_rest = components(positive, scores)
    values = of_class.mean(axis=1)
    if min(len(np.unique(number[side])) for side in (positive, ~positive)) < 2:
        reason = "a class has only one patient (or duplicate group), so its variance is unknown"
        return AUROCs(values, nothing, reason)
    units = int(number.max()) + 1
    per_class = _per_unit(of_class - values[:, None], number[positive], units)
    per_rest = _per_unit(of_rest - values[:, None], number[~positive], units)
    return AUROCs(values, _covariance(per_class, per_rest, number, positive))


def components(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the structural components of the P samples of the class and the Q others.

    Args:
        positive: (N,) bool.
        scores: (M, N).

    Returns:
        (M, P) share of the others that each sample of the class is above, and (M, Q) share of the
        class that is above each other sample. The mean of either is the area.
    """
    from scipy.stats import rankdata

    p, q = int(positive.sum()), int((~positive).sum())
    among_all = rankdata(scores, axis=1)
    among_class = rankdata(scores[:, positive], axis=1)
    among_rest = rankdata(scores[:, ~positive], axis=1)
    of_class = (among_all[:, positive] - among_class) / q
    of_rest = 1 - (among_all[:, ~positive] - among_rest) / p
    return of_class, of_rest


def _per_unit(deviations: np.ndarray, number: np.ndarray, units: int) -> np.ndarray:
    """Return the sums (M, U) over the samples of each unit."""
    return np.stack([np.bincount(number, row, minlength=units) for row in deviations])


def _covariance(
    of_class: np.ndarray, of_rest: np.ndarray, number: np.ndarray, positive: np.ndarray
) -> np.ndarray:
    """Return the covariance (M, M) from summed deviations (M, U); Obuchowski, equation 4."""
    p, q = int(positive.sum()), int((~positive).sum())
    units = of_class.shape[1]
    with_class, with_rest = len(np.unique(number[positive])), len(np.unique(number[~positive]))
    s10 = of_class @ of_class.T * with_class / ((with_class - 1) * p)
    s01 = of_rest @ of_rest.T * with_rest / ((with_rest - 1) * q)
    s11 = of_class @ of_rest.T * units / (units - 1)
    covariance: np.ndarray = s10 / p + s01 / q + (s11 + s11.T) / (p * q)
    return covariance


def delong(found: AUROCs) -> Difference:
    """Test whether two scores, of which these are the areas, have the same area."""
    from scipy.stats import norm

    difference = float(found.values[0] - found.values[1])
    variance = _of_difference(found.covariance)
    reason = found.reason
    if not reason and not variance > 0 and difference != 0:
        reason = "every sample gives the same difference, so its variance is unknown"
    if reason:
        return Difference.untested(difference, reason)
    if not variance > 0:
        return Difference(0.0, Interval(0.0, 0.0, 0.0), 1.0, 0.0)
    error = math.sqrt(variance)
    z = difference / error
    interval = Interval.around(difference, error, bounds=(-1.0, 1.0))
    return Difference(difference, interval, float(2 * norm.sf(abs(z))), z)


def _of_difference(covariance: np.ndarray) -> float:
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    # What rounding leaves of two equal scores is no variance.
    return 0.0 if abs(variance) < 1e-15 else variance
