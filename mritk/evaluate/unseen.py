"""The variance of what was not seen: patients of a class that is all right, or all wrong.

Their sample variance is 0, which ten more patients might belie. A stratum of n units without any
spread could have that of half a unit that is otherwise, among n + 1: the estimate of a share by
Jeffreys' prior (Brown, Cai & DasGupta 2001, Interval estimation for a binomial proportion, Stat.
Sci. 16, 101–133). Where a mean is made of several strata alike, others make up for it, and the sum
of their variances is right on average; where one has few units and a large part of the mean, they
do not. So this variance counts by the share that the stratum has of the whole if all units are
alike, and of several such strata the largest counts.

It is for what is counted: right and wrong, found and missed, in order and not. Probabilities that
hardly differ say by themselves how much patients do, so metrics of them have none
(``Metric.continuous``); else rounding would decide between their own spread and half a patient's.
"""

from __future__ import annotations

import math

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.evaluate.resampling import Units
from mritk.evaluate.run_values import RunValues


def unseen_variance(
    units: Units, changes: np.ndarray, bounds: tuple[float, float], *, per_label: bool
) -> float:
    """Return the variance of a mean to add for strata without spread; 0 where there are none.

    Args:
        units: The units.
        changes: (strata,) how much the mean changes where units of one stratum weigh otherwise;
            NaN for those that have no part in it.
        bounds: The range of the metric; without two bounds nothing is added, since nothing tells
            how far a patient could be otherwise.
        per_label: Whether the metric is a mean over classes.
    """
    width = bounds[1] - bounds[0]
    if not math.isfinite(width):
        return 0.0
    worth = units.effective
    if_alike = units.shares(per_label=per_label) ** 2 / worth
    half = 0.5 / (worth + 1)
    found = width**2 * half * (1 - half) * if_alike * (if_alike / if_alike.sum())
    return float(np.where(changes == 0, found, 0.0).max(initial=0.0))


def strata_with_value(values: RunValues, metric: Metric) -> np.ndarray:
    """Return which strata have units in trials where a metric has a value, (strata,) bool."""
    found = np.zeros(len(values.units.sizes), dtype=bool)
    for row, trials in values.rows.items():
        for trial, of_trial in zip(trials, values.trials[row], strict=True):
            if math.isfinite(of_trial[metric.name].point):
                found[values.units.stratum[values.numbers(trial)]] = True
    return found
