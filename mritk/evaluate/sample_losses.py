"""How far each prediction is from its target."""

from __future__ import annotations

import numpy as np

from mritk.evaluate.classification import log_losses
from mritk.tasks.task import Task


def sample_losses(task: Task, targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the loss of each of N predictions, (N,) float64.

    Of classes the log loss, of values the absolute error, of label maps 1 minus the mean Dice of
    the regions that are there; 0 where there is none.
    """
    if task.classes:
        return log_losses(targets, scores)
    if task.has_target_maps:
        found = scores[:, : len(task.columns) // 2]
        known = np.isfinite(found)
        counts = np.maximum(known.sum(axis=1), 1)
        return np.where(known, 1 - found, 0.0).sum(axis=1) / counts
    return np.abs(targets - scores)
