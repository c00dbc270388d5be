"""What the metrics of plugins measure on the stored label maps of a part, case by case."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mritk.evaluate.cases import regions_of
from mritk.evaluate.metric import Metric
from mritk.tasks.task import Task

# Takes a metric with a measure; returns (N, regions) float64, NaN where undefined.
MeasuredCases = Callable[[Metric], np.ndarray]


def measured(
    metric: Metric,
    task: Task,
    predicted: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    spacing: Sequence[Sequence[float] | None],
) -> np.ndarray:
    """Measure every region of every case.

    Args:
        metric: A metric with a measure.
        task: The labels and regions.
        predicted: N label maps.
        references: N true ones, of the same shapes.
        spacing: Distance of voxels in mm along each axis, of each case; None: 1 mm.

    Returns:
        (N, regions) float64, NaN where undefined. Infinite is undefined too: it has no place in a
        mean, and as NaN it is counted below tables.

    Raises:
        DataError: What is compared are no label maps of the task.
    """
    measure = metric.measure
    assert measure is not None
    found = [
        [
            float(measure(one, other, steps))
            for one, other, steps in regions_of(task, predicted[row], references[row], spacing[row])
        ]
        for row in range(len(predicted))
    ]
    values = np.asarray(found, dtype=np.float64).reshape(len(found), -1)
    return np.where(np.isinf(values), np.nan, values)
