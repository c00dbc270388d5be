"""Metrics of a segmentation: means over cases of what :mod:`mritk.evaluate.cases` measured.

The scores of N cases are (N, columns): the Dice of each region, then the Hausdorff distance of
each, NaN where undefined. A metric over all regions is the mean of the means of the regions.

Whether a case has a distance depends on what was predicted, so rows whose distances are of
different cases are not compared (:mod:`mritk.evaluate.same_samples`). The Dice of a region that
only one map has is 0, so that nobody gains by leaving it out.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from mritk.evaluate.case_means import column, means_of_columns
from mritk.evaluate.interval import POSITIVE
from mritk.evaluate.metric import Metric
from mritk.evaluate.weighted import weighted
from mritk.tasks.segmentation import MEASURES, Segmentation
from mritk.tasks.task import Task

NO_CASE = {
    "dice": "no case has the region in either label map",
    "hd95": "no case has the region in both label maps, or the distances are unknown",
}
# Name of the measure in columns: label, direction and bounds.
KINDS = {
    "dice": ("Dice", True, (0.0, 1.0)),
    "hd95": ("HD95 (mm)", False, POSITIVE),
}
SUMMARIES = {
    "dice": "twice the overlap over the sum of both sizes, mean over cases and regions",
    "hd95": "95th percentile of the distance of surfaces, mean over cases and regions",
}

# A case without the region as predicted has no value, although the reference may have it.
REWARDS_ABSENCE = ("hd95",)


def _metric(name: str, kind: str, suffix: str, columns: Callable[[int], slice]) -> Metric:
    label, higher, bounds = KINDS[kind]

    def left_out(scores: np.ndarray) -> np.ndarray:
        return np.isnan(scores[:, columns(scores.shape[1])])

    return weighted(
        name,
        f"{label}{suffix}",
        higher,
        means_of_columns(columns),
        undefined=NO_CASE[kind],
        task="segmentation",
        bounds=bounds,
        left_out=left_out if kind in REWARDS_ABSENCE else None,
        summary=SUMMARIES[kind],
    )


def _of_measure(place: int) -> Callable[[int], slice]:
    return lambda width: slice(
        place * (width // len(MEASURES)), (place + 1) * (width // len(MEASURES))
    )


SEGMENTATION = tuple(
    _metric(kind, kind, "", _of_measure(place)) for place, kind in enumerate(MEASURES)
)


def of_regions(task: Task) -> tuple[Metric, ...]:
    """Return the metrics of each region of a task; none if it has one region, or no label maps."""
    regions = region_names(task)
    if len(regions) < 2:
        return ()
    return tuple(
        _metric(f"{kind}[{region}]", kind, f" {region}", column(number))
        for number, (kind, region) in enumerate(product(MEASURES, regions))
    )


def region_names(task: Task) -> tuple[str, ...]:
    """Return the regions of a task in the order in which they are measured; empty for others."""
    return tuple(task.regions) if isinstance(task, Segmentation) else ()
