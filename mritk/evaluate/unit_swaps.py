"""A test that needs no spread: exchange what two models said, unit by unit.

If two models are alike, it does not matter which of them said what of a patient. So all of what
they said of a unit is exchanged or not, in every possible way or in many random ones; p is the
share of ways in which the difference is at least as large as the one that was found. Fisher 1935,
The Design of Experiments, section 21; for classifiers: Yeh 2000, More accurate tests for the
statistical significance of result differences, COLING, 947–953.

It is there where resampling gives no spread (one patient of a class, or every patient says the
same). It is about these models: what retraining changes is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.evaluate.over_folds import fold_classes, over_folds
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.resampling import SEED
from mritk.evaluate.rounding import OF_DIFFERENCES

EXACT_UNITS = 12
RANDOM = 4999


@dataclass(frozen=True, eq=False)
class ScoredTwice:
    """The samples of one fold with the scores of two models.

    Attributes:
        target: (N,) class indices or values.
        first: (N, classes) logits, or (N,) values, of the first model.
        second: The same of the second.
        unit: (N,) int64 number of each sample's unit.
    """

    target: np.ndarray
    first: np.ndarray
    second: np.ndarray
    unit: np.ndarray


def swap_test(metric: Metric, runs: Sequence[Sequence[ScoredTwice]]) -> float:
    """Return the two-sided p of the mean difference over runs, first minus second.

    Exact for up to 12 units; else of 4,999 random exchanges and the one that was found.

    Args:
        metric: What is compared.
        runs: The folds of each run. Units are the same in all of them.
    """
    every = np.unique(np.concatenate([fold.unit for folds in runs for fold in folds]))
    swapped = _swaps(len(every))
    kept, exchanged = (1 - swapped).astype(np.float32), swapped.astype(np.float32)
    differences = np.mean(
        [
            _run(metric, folds, every, np.hstack([kept, exchanged]))
            - _run(metric, folds, every, np.hstack([exchanged, kept]))
            for folds in runs
        ],
        axis=0,
    )
    found = abs(float(differences[0]))  # nothing exchanged
    if math.isnan(found):
        return math.nan
    with np.errstate(invalid="ignore"):
        smaller = np.abs(differences) < found - OF_DIFFERENCES * max(found, 1.0)
    return float(1 - smaller.mean())  # ways without a value count against a difference


def _swaps(units: int) -> np.ndarray:
    """Return ways to exchange, (ways, units) of 0 and 1; the first exchanges nothing."""
    if units <= EXACT_UNITS:
        return np.arange(2**units)[:, None] >> np.arange(units) & 1
    drawn = np.random.default_rng(SEED + 2).integers(0, 2, (RANDOM + 1, units))
    drawn[0] = 0
    return drawn


def _run(
    metric: Metric, folds: Sequence[ScoredTwice], units: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the value of a run in every way, (ways,).

    Each sample is there twice, with the score of either model; weights choose one of the two.
    """
    samples = []
    for fold in folds:
        unit = np.searchsorted(units, fold.unit)
        samples.append(
            Resamples(
                np.concatenate([fold.target, fold.target]),
                np.concatenate([fold.first, fold.second]),
                np.concatenate([unit, unit + len(units)]),
                weights,
            )
        )
    if not metric.per_class:
        found: np.ndarray = np.mean([metric.resample(one) for one in samples], axis=0)
        return found
    classes = np.unique(np.concatenate([fold.target for fold in folds]))
    return over_folds([fold_classes(metric, one) for one in samples], classes)
