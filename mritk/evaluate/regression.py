"""Metrics of a regression."""

from __future__ import annotations

import numpy as np

from mritk.evaluate.interval import POSITIVE
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.weighted import weighted


def _errors(samples: Resamples) -> np.ndarray:
    """Return prediction minus target, (N,) float64."""
    return np.asarray(samples.scores.astype(np.float64) - samples.targets)


def _mae(samples: Resamples) -> np.ndarray:
    return samples.mean(np.abs(_errors(samples)))


def _mse(samples: Resamples) -> np.ndarray:
    return samples.mean(np.square(_errors(samples)))


def _centred(samples: Resamples) -> np.ndarray:
    """Return variance of targets, variance of scores and their covariance, (3, R)."""
    # Centred first: sums of squares of large numbers would lose their differences.
    x = samples.targets - samples.targets.mean()
    y = samples.scores.astype(np.float64) - samples.scores.mean()
    mean_x, mean_y = samples.mean(x), samples.mean(y)
    found = np.stack(
        [
            samples.mean(x * x) - mean_x**2,
            samples.mean(y * y) - mean_y**2,
            samples.mean(x * y) - mean_x * mean_y,
        ]
    )
    # What rounding leaves of 0 is no spread.
    scale = np.array([np.ptp(x) ** 2, np.ptp(y) ** 2])[:, None]
    some = (scale > 0) & (found[:2] > samples.rounding * scale)
    found[:2] = np.where(some, found[:2], np.nan)
    return found


def _r2(samples: Resamples) -> np.ndarray:
    return np.asarray(1 - _mse(samples) / _centred(samples)[0])


def _pearson(samples: Resamples) -> np.ndarray:
    of_x, of_y, both = _centred(samples)
    return np.asarray(both / np.sqrt(of_x * of_y))


# The first three are the columns of a leaderboard, and the first of them sorts it.
REGRESSION = (
    weighted(
        "mae",
        "MAE",
        False,
        _mae,
        task="regression",
        bounds=POSITIVE,
        summary="mean absolute error, in the unit of the target",
    ),
    weighted(
        "rmse",
        "RMSE",
        False,
        lambda samples: np.sqrt(_mse(samples)),
        task="regression",
        bounds=POSITIVE,
        summary="root mean squared error, in the unit of the target",
    ),
    weighted(
        "r2",
        "R²",
        True,
        _r2,
        undefined="all targets are equal",
        task="regression",
        bounds=(-float("inf"), 1.0),
        summary="proportion of variance explained; below 0: worse than the mean",
        divided_by=lambda samples: _centred(samples)[0],
    ),
    weighted(
        "pearson_r",
        "Pearson r",
        True,
        _pearson,
        undefined="all targets or all predictions are equal",
        task="regression",
        bounds=(-1.0, 1.0),
        summary="linear correlation of targets and predictions",
    ),
    weighted(
        "bias",
        "bias",
        None,
        lambda samples: samples.mean(_errors(samples)),
        task="regression",
        summary="mean of prediction minus target; not used for ranking",
    ),
)
SHOWN = REGRESSION[:3]
