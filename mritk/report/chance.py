"""What a score is without any knowledge of the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.report.scored import scored_rows
from mritk.results.table import Table

GUESS, MAJORITY, MEAN = "chance", "majority class", "mean of the targets"
# By name of metric and number of classes.
BY_CLASSES: Mapping[str, Callable[[int], float]] = {
    "balanced_accuracy": lambda classes: 1 / classes,
    "macro_auroc": lambda classes: 0.5,
    "mcc": lambda classes: 0.0,
    "kappa": lambda classes: 0.0,
    "macro_specificity": lambda classes: 1 - 1 / classes,
    "log_loss": math.log,
}


def chance_of(table: Table, metric: Metric) -> tuple[float, str] | None:
    """Return what blind guessing scores in a metric, and what it is called; None where unknown.

    Accuracy is that of always naming the most frequent class (the no-information rate), log loss
    that of equal probabilities, R² that of the mean.
    """
    if not table.task.classes:
        return (0.0, MEAN) if metric.name == "r2" else None
    if metric.name in BY_CLASSES:
        return BY_CLASSES[metric.name](len(table.task.classes)), GUESS
    rows = scored_rows(table) if metric.name == "accuracy" else []
    if not rows:
        return None
    targets = np.concatenate([scored.target for scored in rows[0][1]])
    return float(np.bincount(targets).max() / len(targets)), MAJORITY
