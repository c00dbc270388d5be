"""Means over cases of what was measured on each region of their label maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.resamples import Resamples

NO_CASE = "no case has a value in one of the regions"


def means_of_cases(samples: Resamples) -> np.ndarray:
    """Return the mean over columns of the mean of each over the cases that have a value, (R,)."""
    values = samples.scores.astype(np.float64)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = samples.sums(np.where(known, values, 0.0)) / samples.sums(known.astype(float))
    return np.asarray(means.mean(axis=1))


def means_of_columns(of_columns: Callable[[int], slice]) -> Callable[[Resamples], np.ndarray]:
    """Return the form of :func:`means_of_cases` for some of the columns.

    Args:
        of_columns: Takes the number of columns that there are; returns which are meant.
    """

    def form(samples: Resamples) -> np.ndarray:
        return means_of_cases(_only(samples, of_columns(samples.scores.shape[1])))

    return form


def column(number: int) -> Callable[[int], slice]:
    """Return what :func:`means_of_columns` takes for one column."""
    return lambda width: slice(number, number + 1)


def _only(samples: Resamples, columns: slice) -> Resamples:
    """Return samples with some of their columns."""
    values = samples.scores[:, columns]
    return Resamples(samples.targets, values, samples.unit, samples.weights)


def mean_of_cases(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Return it for one weighting (N,) of the cases.

    Raises:
        Undefined: A column has no value in any case.
    """
    found = float(means_of_cases(Resamples.of_one(targets, scores, weights))[0])
    if np.isnan(found):
        raise Undefined(NO_CASE)
    return found


def of_region(metric: Metric, region: str, place: int) -> Metric:
    """Return the metric of one of the regions that a metric measures: ``NAME[REGION]``."""
    only = slice(place, place + 1)
    of_all, resampled, left_out = metric.function, metric.resampled, metric.left_out

    return replace(
        metric,
        name=f"{metric.name}[{region}]",
        label=f"{metric.label} {region}",
        function=lambda targets, scores, weights: of_all(targets, scores[:, only], weights),
        resampled=None if resampled is None else lambda samples: resampled(_only(samples, only)),
        left_out=None if left_out is None else lambda scores: left_out(scores[:, only]),
    )
