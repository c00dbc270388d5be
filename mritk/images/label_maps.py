"""Label maps of all samples on the grid of a network's input, read once and kept like images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mritk.data.samples import MapFacts, Samples
from mritk.errors import DataError, UsageError, one_line
from mritk.files.kept import Draft, kept
from mritk.files.workspace import Workspace
from mritk.images.channels import shaping_code
from mritk.images.decode import grid_identity
from mritk.images.grid import Grid, GridLike
from mritk.images.sample_grid import fit_label_map
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
    require_label_maps(samples)
    grid = Grid.of(size)
    identity = [
        *shaping_code(),
        "label maps",
        [facts.digest for facts in samples.map_facts],
        *grid_identity(samples, grid),
    ]
    return kept(
        workspace.folder("decoded"),
        identity,
        lambda draft: _fill(samples, read, grid, draft),
        WHAT,
        workspace.near("decoded"),
    ).arrays[MAPS]


def _fill(
    samples: Samples, read: Callable[[int], np.ndarray], grid: Grid, draft: Draft
) -> dict[str, object]:
    def prepare(row: int) -> np.ndarray:
        spacing = None if samples.spacing is None else samples.spacing[row]
        return fit_label_map(read(row), grid, spacing)

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


def require_label_maps(samples: Samples, shapes: Sequence[Sequence[int]] = ()) -> None:
    """Refuse label maps that are not what a segmentation needs.

    Args:
        samples: Of any task; without label maps there is nothing to refuse.
        shapes: Per sample, the shape of its image; ``()`` if it cannot be read or is not known.

    Raises:
        UnreadableSamples: Some label maps cannot be read.
        DataError: One is not uint8 of ``spatial_dims`` axes, has a value that is no label, or not
            the shape of its image.
    """
    _ = samples.map_facts  # tells what could not be read
    for row, problem in broken_label_maps(samples, shapes).items():
        raise DataError(f"the label map of {samples.ids[row]} {problem}")


def broken_label_maps(samples: Samples, shapes: Sequence[Sequence[int]] = ()) -> dict[int, str]:
    """Return the rows whose label map :func:`require_label_maps` refuses, each with the reason."""
    found: dict[int, str] = {}
    for row, facts in enumerate(samples.map_outcomes):
        shape = tuple(shapes[row][: samples.spatial_dims]) if row < len(shapes) else ()
        problem = facts if isinstance(facts, str) else _problem(facts, samples, shape)
        if problem:
            found[row] = problem
    return found


def _problem(facts: MapFacts, samples: Samples, shape: tuple[int, ...]) -> str:
    """Return what is wrong with a label map that can be read; empty if nothing is."""
    dims, outputs = samples.spatial_dims or 0, samples.task.outputs
    if facts.dtype != "uint8" or len(facts.shape) != dims:
        return f"has dtype {facts.dtype} and shape {facts.shape}; expected uint8 with {dims} axes"
    if facts.largest >= outputs:
        return (
            f"has the value {facts.largest}, but the labels are 0 to {outputs - 1}; name a label "
            f"for every value up to {facts.largest}"
        )
    return (
        f"has shape {facts.shape}, but its image {shape}" if shape not in ((), facts.shape) else ""
    )


def background_alone(samples: Samples) -> tuple[str, ...]:
    """Return the ids of samples whose label map can be read and holds nothing but background."""
    pairs = zip(samples.ids, samples.map_outcomes, strict=False)
    return tuple(name for name, facts in pairs if isinstance(facts, MapFacts) and not facts.largest)


def require_regions(samples: Samples) -> None:
    """Refuse label maps of which none holds a region.

    Raises:
        DataError: All hold background alone.
    """
    empty = background_alone(samples)
    if empty and len(empty) == len(samples):
        raise DataError(
            f"all {len(samples)} label maps hold background (0) alone, such as that of {empty[0]}; "
            "there is nothing to segment: check which files are given as label maps"
        )
