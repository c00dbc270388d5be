"""Label maps of all samples on the grid of a network's input, read once and kept like images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mritk.data.channels import channels_code
from mritk.data.decode import grid_identity
from mritk.data.grid import Grid, GridLike
from mritk.data.sample_grid import fit_label_map
from mritk.data.samples import Samples
from mritk.errors import DataError, UsageError, one_line
from mritk.files.kept import Draft, kept
from mritk.files.workspace import Workspace
from mritk.machine.in_threads import in_threads

WHAT, MAPS = "label maps", "maps"


def label_maps(samples: Samples, size: GridLike, workspace: Workspace) -> np.ndarray:
    """Return the label maps of all samples as one read-only array, made if that was not done.

    Args:
        samples: Of a task with label maps.
        size: Side in pixels or voxels, or a grid; None: as they are, which must be one shape.
        workspace: Where the array is kept.

    Returns:
        A memory-mapped array (N, *spatial) of uint8.

    Raises:
        UsageError: The task has no label maps.
        DataError: A label map is not uint8, has a value that is no label, or has another shape than
            the rest and no ``size`` is given.
    """
    read = samples.read_target
    if read is None:
        raise UsageError(f"samples of a {samples.task.kind} have no label maps")
    grid = Grid.of(size)
    identity = [
        *channels_code(),
        "label maps",
        samples.target_contents,
        *grid_identity(samples, grid),
    ]
    return kept(
        workspace.folder("decoded"),
        identity,
        lambda draft: _fill(samples, read, grid, draft),
        WHAT,
    ).arrays[MAPS]


def _fill(
    samples: Samples, read: Callable[[int], np.ndarray], grid: Grid, draft: Draft
) -> dict[str, object]:
    def prepare(row: int) -> np.ndarray:
        spacing = None if samples.spacing is None else samples.spacing[row]
        return fit_label_map(checked_map(read(row), samples), grid, spacing)

    array: np.memmap | None = None
    for row, item in enumerate(in_threads(prepare, len(samples))):
        if isinstance(item, Exception):
            raise DataError(f"the label map of {samples.ids[row]} {one_line(item)}") from item
        if array is None:
            array = draft.array(MAPS, (len(samples), *item.shape), item.dtype)
        if item.shape != array.shape[1:]:
            raise DataError(
                f"the label map of {samples.ids[row]} has shape {item.shape}, the first "
                f"{array.shape[1:]}; give a size"
            )
        array[row] = item
    if array is not None:
        array.flush()
    return {}


def checked_map(labels: np.ndarray, samples: Samples) -> np.ndarray:
    """Return a label map; refuse one that is not what a segmentation needs.

    Raises:
        DataError: It is not uint8 of ``spatial_dims`` axes, or has a value that is no label.
    """
    if labels.dtype != np.uint8 or labels.ndim != samples.spatial_dims:
        raise DataError(
            f"has dtype {labels.dtype} and shape {labels.shape}; expected uint8 with "
            f"{samples.spatial_dims} axes"
        )
    if labels.size and labels.max() >= samples.task.outputs:
        raise DataError(
            f"has the value {labels.max()}, but the labels are 0 to {samples.task.outputs - 1}"
        )
    return labels
