"""Metrics whose value is computed as that of a resample, ten times as fast as by scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.resamples import Resamples


def quick_metric(name: str) -> Metric:
    """Return a metric of mritk, in single precision."""
    metric = find_metric(name)
    assert metric.resampled is not None
    of_resamples = metric.resampled

    def function(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        samples = np.arange(len(targets))
        once = weights[None].astype(np.float32)
        return np.asarray(of_resamples(Resamples(targets, scores, samples, once))[0])

    return replace(metric, function=function)
