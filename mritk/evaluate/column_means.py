"""The form of metrics that are means over cases of what was measured on each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mritk.evaluate.resamples import Resamples


def column_means(of_columns: Callable[[int], slice]) -> Callable[[Resamples], np.ndarray]:
    """Return the mean of the weighted means of some columns, over the cases that have a value.

    Args:
        of_columns: Takes the number of columns that there are; returns which are meant.
    """

    def form(samples: Resamples) -> np.ndarray:
        values = samples.scores[:, of_columns(samples.scores.shape[1])].astype(np.float64)
        known = np.isfinite(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = samples.sums(np.where(known, values, 0.0)) / samples.sums(known.astype(float))
        return np.asarray(means.mean(axis=1))

    return form


def one_column(number: int) -> Callable[[int], slice]:
    """Return what :func:`column_means` takes for a single column."""
    return lambda width: slice(number, number + 1)
