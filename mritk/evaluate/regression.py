"""Metrics of a regression; scikit-learn and numpy compute their values."""

from __future__ import annotations

import numpy as np

from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.resamples import Resamples


def _mae(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(targets, scores, sample_weight=weights))


def _rmse(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(targets, scores, sample_weight=weights))


def _r2(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    from sklearn.metrics import r2_score

    if np.ptp(targets[weights > 0]) == 0:
        raise Undefined("all targets are equal")
    return float(r2_score(targets, scores, sample_weight=weights))


def _pearson(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    some = weights > 0
    if np.ptp(targets[some]) == 0 or np.ptp(scores[some]) == 0:
        raise Undefined("all targets or all predictions are equal")
    covariance = np.cov(targets, scores.astype(np.float64), aweights=weights, ddof=0)
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def _bias(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(_errors(targets, scores), weights=weights))


def _errors(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return scores.astype(np.float64) - targets


def _squares(resamples: Resamples) -> np.ndarray:
    return resamples.mean(np.square(_errors(resamples.targets, resamples.scores)))


def _centred(resamples: Resamples) -> np.ndarray:
    """Return variance of targets, variance of scores and their covariance, (3, R)."""
    # Centred first: sums of squares of large numbers would lose their differences.
    x = resamples.targets - resamples.targets.mean()
    y = resamples.scores.astype(np.float64) - resamples.scores.mean()
    mean_x, mean_y = resamples.mean(x), resamples.mean(y)
    found = np.stack(
        [
            resamples.mean(x * x) - mean_x**2,
            resamples.mean(y * y) - mean_y**2,
            resamples.mean(x * y) - mean_x * mean_y,
        ]
    )
    scale = np.array([np.ptp(x) ** 2, np.ptp(y) ** 2])
    # What rounding leaves of 0 is no spread.
    found[:2] = np.where(found[:2] > 1e-6 * scale[:, None], found[:2], np.nan)
    return found


def _r2_resampled(resamples: Resamples) -> np.ndarray:
    return np.asarray(1 - _squares(resamples) / _centred(resamples)[0])


def _pearson_resampled(resamples: Resamples) -> np.ndarray:
    of_x, of_y, both = _centred(resamples)
    return np.asarray(both / np.sqrt(of_x * of_y))


POSITIVE = (0.0, float("inf"))

# The first three are the columns of a leaderboard, and the first of them sorts it.
REGRESSION = (
    Metric(
        "mae",
        "MAE",
        False,
        _mae,
        "regression",
        bounds=POSITIVE,
        resampled=lambda r: r.mean(np.abs(_errors(r.targets, r.scores))),
        summary="mean absolute error, in the unit of the target",
    ),
    Metric(
        "rmse",
        "RMSE",
        False,
        _rmse,
        "regression",
        bounds=POSITIVE,
        resampled=lambda r: np.sqrt(_squares(r)),
        summary="root mean squared error, in the unit of the target",
    ),
    Metric(
        "r2",
        "R²",
        True,
        _r2,
        "regression",
        bounds=(-float("inf"), 1.0),
        resampled=_r2_resampled,
        summary="proportion of variance explained; below 0: worse than the mean",
    ),
    Metric(
        "pearson_r",
        "Pearson r",
        True,
        _pearson,
        "regression",
        bounds=(-1.0, 1.0),
        resampled=_pearson_resampled,
        summary="linear correlation of targets and predictions",
    ),
    Metric(
        "bias",
        "bias",
        None,
        _bias,
        "regression",
        resampled=lambda r: r.mean(_errors(r.targets, r.scores)),
        summary="mean of prediction minus target; not used for ranking",
    ),
)
SHOWN = REGRESSION[:3]
