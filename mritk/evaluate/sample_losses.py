"""How far each prediction is from its target."""

from __future__ import annotations

import numpy as np

from mritk.evaluate.classification import log_losses
from mritk.tasks.task import Task


def sample_losses(task: Task, targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the log loss, or the absolute error, of each of N predictions, (N,) float64."""
    if task.classes:
        return log_losses(targets, scores)
    return np.abs(targets - scores)
