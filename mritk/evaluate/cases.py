"""Label maps compared case by case, region by region: overlap, and distance of surfaces.

Conventions, where a region is absent: Dice is 0 if only one of the two maps has the region, and
undefined if neither has. The Hausdorff distance is undefined unless both have it: no surface is
infinitely, or zero, millimetres away. Undefined cases are NaN and left out of means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mritk.errors import DataError
from mritk.tasks.segmentation import MEASURES, Segmentation
from mritk.tasks.task import Task

PERCENTILE = 95
# Of the measures; trial files state by which one their cases were measured. A change of what a
# measure gives for the same label maps raises it, and has its place in mritk.store.earlier_cases.
DEFINITION = 2
# Takes a region as predicted and as it is, bool arrays of one shape, and the spacing in mm.
Measure = Callable[[np.ndarray, np.ndarray, Sequence[float]], float]


def dice(predicted: np.ndarray, reference: np.ndarray, spacing: Sequence[float]) -> float:
    """Return 2 |A ∩ B| / (|A| + |B|); NaN if both are empty."""
    total = int(predicted.sum()) + int(reference.sum())
    return 2 * int((predicted & reference).sum()) / total if total else math.nan


def hd95(predicted: np.ndarray, reference: np.ndarray, spacing: Sequence[float]) -> float:
    """Return the 95th percentile of the symmetric Hausdorff distance in mm; NaN if one is empty.

    The larger of the two directed percentiles of distances between surface voxels, as MONAI
    computes it. A surface voxel has a face neighbour outside the region, or outside the map. Axes
    of one voxel do not count: across a single slice every voxel would be at the surface.
    """
    if not predicted.any() or not reference.any():
        return math.nan
    from scipy import ndimage

    thin = [axis for axis, length in enumerate(reference.shape) if length == 1]
    thin = thin[: reference.ndim - 1]  # one axis stays
    predicted, reference = (np.squeeze(region, tuple(thin)) for region in (predicted, reference))
    spacing = np.delete(spacing, thin).tolist()
    box = _box(predicted | reference)
    surfaces = []
    for region in (predicted[box], reference[box]):
        inside = ndimage.binary_erosion(np.pad(region, 1))[tuple(slice(1, -1) for _ in box)]
        surfaces.append(region & ~inside)
    directed = [
        np.percentile(ndimage.distance_transform_edt(~other, sampling=spacing)[one], PERCENTILE)
        for one, other in (surfaces, surfaces[::-1])
    ]
    return float(max(directed))


def _box(region: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box that holds a region."""
    ends = []
    for axis in range(region.ndim):
        rows = np.flatnonzero(region.any(axis=tuple(a for a in range(region.ndim) if a != axis)))
        ends.append(slice(int(rows[0]), int(rows[-1]) + 1))
    return tuple(ends)


BY_NAME: Mapping[str, Measure] = {"dice": dice, "hd95": hd95}
# Which cases have no value.
UNDEFINED = {
    "dice": "where neither label map has the region",
    "hd95": "where a label map lacks the region",
}


def case_scores(
    task: Task,
    predicted: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float] | None = None,
) -> np.ndarray:
    """Return the scores of one case, (columns,) float64, in the order of ``task.columns``.

    Args:
        task: The labels and regions.
        predicted: Label map, whole numbers of the shape of the reference.
        reference: Label map, uint8.
        spacing: Distance of voxels in mm along each axis; None: 1 mm.

    Raises:
        DataError: Shapes differ, or a value is no label.
    """
    regions = list(regions_of(task, predicted, reference, spacing))
    return np.asarray([BY_NAME[name](*one) for name in MEASURES for one in regions])


def regions_of(
    task: Task,
    predicted: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[float, ...]]]:
    """Yield each region of a task as a measure takes it: predicted, true, and the spacing.

    The arrays are new ones, since measures may write to them: some functions of Cython take no
    others. :func:`case_scores` gives them to several, which only read.
    Arguments and errors are those of :func:`case_scores`.
    """
    assert isinstance(task, Segmentation)  # no other task has label maps
    predicted, reference = np.asarray(predicted), np.asarray(reference)
    if predicted.shape != reference.shape:
        raise DataError(
            f"a predicted label map has shape {predicted.shape}, its reference {reference.shape}"
        )
    for name, labels in (("predicted", predicted), ("true", reference)):
        whole = labels.dtype.kind in "iub"
        low, high = (labels.min(), labels.max()) if labels.size else (0, 0)
        if not whole or low < 0 or high >= task.outputs:
            raise DataError(
                f"a {name} label map must hold the whole numbers 0 to {task.outputs - 1}, the "
                f"labels {', '.join(task.labels)}; got {labels.dtype} from {low} to {high}"
            )
    steps = (1.0,) * reference.ndim if spacing is None else tuple(spacing)
    for region in task.regions:
        values = task.values_of(region)
        yield np.isin(predicted, values), np.isin(reference, values), steps
