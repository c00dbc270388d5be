"""The values of one metric, as it is and in all resamples: their means and differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.evaluate.over_folds import FoldClasses


@dataclass(frozen=True, eq=False)
class Values:
    """One metric of one trial: its value, and those in the resamples.

    Attributes:
        point: The value.
        resampled: (R,) values, NaN where undefined.
        left_out: (U,) values with one unit left out; None unless BCa is wanted.
        rounding: How large a difference between values may be that is rounding only.
        changes: (strata,) how much the value changes where units of one stratum weigh otherwise;
            None where it is undefined.
        classes: The same resamples class by class, of one fold of several; and those of
            ``left_out``.
    """

    point: float
    resampled: np.ndarray
    left_out: np.ndarray | None = None
    rounding: float = 0.0
    changes: np.ndarray | None = None
    classes: Sequence[FoldClasses] = ()


def settled(values: np.ndarray, at: float, rounding: float) -> np.ndarray:
    """Return the values with those that only rounding sets apart from ``at`` put there."""
    return np.where(np.abs(values - at) <= rounding, at, values)


def defined(values: Sequence[Values], metric: Metric) -> Sequence[Values]:
    """Return those that a mean is over: all; of a metric of cases, those that a case defines.

    Where none is defined these are all, whose mean is NaN.
    """
    some = [value for value in values if not math.isnan(value.point)]
    return some if some and metric.of_cases else values


def mean_of(values: Sequence[Values], metric: Metric) -> Values:
    """Return the mean of several values of a metric, of those that are :func:`defined`."""
    values = defined(values, metric)
    left_out = [value.left_out for value in values if value.left_out is not None]
    changes = [value.changes for value in values if value.changes is not None]
    return Values(
        float(np.mean([value.point for value in values])),
        _mean([value.resampled for value in values], metric),
        _mean(left_out, metric) if left_out else None,
        max(value.rounding for value in values),
        np.mean(changes, axis=0) if len(changes) == len(values) else None,
    )


def _mean(values: Sequence[np.ndarray], metric: Metric) -> np.ndarray:
    """Return the mean of several values in each weighting, (R,); of cases, as :func:`mean_of`."""
    every = np.stack(values)
    if not metric.of_cases:
        return np.asarray(every.mean(axis=0))
    known = ~np.isnan(every)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, every, 0.0).sum(axis=0) / known.sum(axis=0))


def minus(one: Values, other: Values) -> Values:
    """Return the difference of two runs."""
    left_out = None
    if one.left_out is not None and other.left_out is not None:
        left_out = one.left_out - other.left_out
    rounding = max(one.rounding, other.rounding)
    point = one.point - other.point
    point = 0.0 if abs(point) <= rounding else point
    resampled = settled(one.resampled - other.resampled, 0.0, rounding)
    changes = None
    if one.changes is not None and other.changes is not None:
        changes = settled(one.changes - other.changes, 0.0, rounding)
    return Values(point, resampled, left_out, rounding, changes)
