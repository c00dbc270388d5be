"""Predictions that know something of their targets, to try a metric on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk.evaluate.metric import Metric

COUNT, CLASSES = 60, 3


@dataclass(frozen=True)
class Example:
    """A table of 60 predictions.

    Attributes:
        targets: (60,) class indices or values; zeros for a metric that measures label maps.
        scores: Logits (60, 3), values (60,) or measures (60, 2), as the metric takes them.
        weights: (60,) float64, whole numbers from 0 to 3.
        right: Scores without an error worth mentioning.
        wrong: Scores that are wrong for every sample.
    """

    targets: np.ndarray
    scores: np.ndarray
    weights: np.ndarray
    right: np.ndarray
    wrong: np.ndarray


def example(metric: Metric, seed: int) -> Example:
    """Return predictions in the form that a metric takes."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, COUNT).astype(np.float64)
    if metric.task == "regression":
        values = rng.normal(50, 15, COUNT)
        scores = values + rng.normal(0, 8, COUNT)
        return Example(values, scores, weights, values + 1e-3, 2 * values.mean() - values + 30)
    if metric.measure is not None:
        return _of_cases(metric, rng, weights)
    targets = np.arange(COUNT) % CLASSES
    one_hot = np.eye(CLASSES)
    scores = rng.normal(0, 1, (COUNT, CLASSES)) + 1.2 * one_hot[targets]
    weights[:CLASSES] = 1  # every class counts
    wrong = 8.0 * one_hot[(targets + 1) % CLASSES]
    return Example(targets, scores, weights, 8.0 * one_hot[targets], wrong)


def _of_cases(metric: Metric, rng: np.random.Generator, weights: np.ndarray) -> Example:
    """Return what was measured of two regions, the second of which some cases lack."""
    low, high = np.nan_to_num(metric.bounds, neginf=-10.0, posinf=10.0)
    scores = rng.uniform(low, high, (COUNT, 2))
    scores[::5, 1] = np.nan
    weights[1] = 1  # each region counts
    best, worst = (high, low) if metric.higher_is_better else (low, high)
    right, wrong = (np.full((COUNT, 2), value) for value in (best, worst))
    return Example(np.zeros(COUNT), scores, weights, right, wrong)
