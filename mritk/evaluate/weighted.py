"""Metrics written once, for many weightings of the samples: their value is that in one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.resamples import Resamples

Form = Callable[[Resamples], np.ndarray]


def weighted(
    name: str,
    label: str,
    higher_is_better: bool | None,
    form: Form,
    *,
    undefined: str = "",
    of_absent_too: bool = False,
    **fields: Any,
) -> Metric:
    """Return a metric, given its form.

    Args:
        name: See :class:`Metric`, also for ``label``, ``higher_is_better`` and other fields.
        label: See there.
        higher_is_better: See there.
        form: Returns (R,), or (R, classes) with ``per_class``; NaN where undefined.
        undefined: Why the form may have no value; ``{k}`` stands for the number of the class.
        of_absent_too: Whether the metric is undefined where a class without samples has no value.
    """

    def function(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        samples = Resamples.of_one(targets, scores, weights)
        found = np.asarray(form(samples)[0])
        lost = np.isnan(found)
        if found.ndim and not of_absent_too:
            lost &= samples.confusion[0].sum(axis=1) > 0
        if undefined and lost.any():
            raise Undefined(undefined.format(k=lost.argmax()))
        return found

    return Metric(name, label, higher_is_better, function, resampled=form, **fields)
