"""From the grid of a sample to that of a network's input, and back.

Positions are those of centres: both grids cover the same field of view, so that images, label maps
and scores stay in step. The source of this file is part of the key of what it makes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk.errors import DataError, UsageError
from mritk.images.grid import Grid, GridLike
from mritk.images.shaping import linearly_resampled, resampled_volume, resized_by_pillow

Shape = tuple[int, ...]


def fit_channel(
    channel: np.ndarray,
    grid: GridLike,
    interpolation: str,
    spacing: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Return one channel of a sample on the grid of a network's input.

    Args:
        channel: (H, W) or (D, H, W), uint8 or float32.
        grid: Of the network's input.
        interpolation: Of images, as in Pillow. Volumes are resampled linearly. Both are smoothed
            where they shrink.
        spacing: Distance of the sample's pixels or voxels in mm per axis; needed if ``grid`` has a
            spacing.

    Returns:
        Of the shape of the grid, and of the same dtype.

    Raises:
        DataError: The spacing is needed and not known.
        ValueError: The grid is for another number of axes.
    """
    grid = Grid.of(grid)
    sides = grid.sides(channel.ndim)
    if grid.fit == "resize":
        return resampled(channel, sides or channel.shape, interpolation)
    channel = resampled(channel, _extent(channel.shape, grid, spacing), interpolation)
    return _cropped_or_padded(channel, sides or channel.shape)


def fit_label_map(
    labels: np.ndarray,
    grid: GridLike,
    spacing: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Return a label map on the grid of a network's input: the label nearest to each place.

    Arguments and errors as in :func:`fit_channel`; beyond the map is 0, the background.
    """
    grid = Grid.of(grid)
    sides = grid.sides(labels.ndim)
    if grid.fit == "resize":
        return _nearest(labels, sides or labels.shape)
    labels = _nearest(labels, _extent(labels.shape, grid, spacing))
    return _cropped_or_padded(labels, sides or labels.shape)


def to_sample_grid(
    values: np.ndarray,
    shape: Sequence[int],
    grid: GridLike = None,
    spacing: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Return a label map or scores on the grid of the sample they were predicted for.

    The inverse of what :meth:`mritk.Subset.images` and :meth:`mritk.Subset.masks` do to a sample.

    Args:
        values: On the grid of a network's input: a label map (*spatial) of integers, of which the
            nearest label is taken, or scores (L, *spatial) of floats, which are resampled linearly.
        shape: Spatial shape of the sample, that of ``read_target(i)``.
        grid: As it was given to ``images``.
        spacing: Distance of the sample's pixels or voxels in mm, ``samples.spacing[i]``; needed if
            ``grid`` has a spacing.

    Returns:
        (*shape) or (L, *shape), of the same dtype. What the network did not see is 0.

    Raises:
        DataError: The spacing is needed and not known.
        UsageError: The values have another number of axes than the sample.
    """
    shape, dims = tuple(shape), len(shape)
    labels = np.issubdtype(values.dtype, np.integer)
    if values.ndim != dims + (not labels):
        raise UsageError(
            f"values of shape {values.shape} and dtype {values.dtype} do not belong to a sample of "
            f"shape {shape}; give integers (*spatial) or floats (L, *spatial)"
        )
    grid = Grid.of(grid)
    if grid.fit == "crop_or_pad":
        extent = _extent(shape, grid, spacing)
        values = _cropped_or_padded(values, (*values.shape[: values.ndim - dims], *extent))
    if labels:
        return _nearest(values, shape)
    return np.stack([linearly_resampled(channel, shape) for channel in values]).astype(values.dtype)


def share_kept(
    shape: Sequence[int], grid: GridLike, spacing: Sequence[float] | np.ndarray | None = None
) -> float:
    """Return the share of a sample that lies within a grid, from 0 to 1; 1 if nothing is cut off.

    Arguments as in :func:`to_sample_grid`.
    """
    grid, shape = Grid.of(grid), tuple(shape)
    sides = grid.sides(len(shape))
    if grid.fit == "resize" or sides is None:
        return 1.0
    extent = _extent(shape, grid, spacing)
    pairs = zip(sides, extent, strict=True)
    return float(np.prod([min(side, whole) / whole for side, whole in pairs]))


def resampled(values: np.ndarray, shape: Shape, interpolation: str) -> np.ndarray:
    """Return an array of the same field of view with another number of pixels or voxels."""
    if values.ndim == 2:
        return resized_by_pillow(values, shape, interpolation)
    return resampled_volume(values, shape)


def _nearest(values: np.ndarray, shape: Shape) -> np.ndarray:
    for axis, (new, old) in enumerate(zip(shape, values.shape, strict=True)):
        if new != old:
            # The old element that holds the centre of each new one, in whole numbers.
            values = np.take(values, (2 * np.arange(new) + 1) * old // (2 * new), axis)
    return values


def _extent(shape: Shape, grid: Grid, spacing: Sequence[float] | np.ndarray | None) -> Shape:
    """Return the shape that a sample has at the spacing of a grid."""
    if grid.spacing is None:
        return shape
    if spacing is None:
        raise DataError(
            f"is to be resampled to {grid.spacing} mm, but the distance of its voxels is unknown"
        )
    wanted = np.broadcast_to(np.asarray(grid.spacing, dtype=np.float64), len(shape))
    exact = np.asarray(shape) * np.asarray(spacing, dtype=np.float64) / wanted
    return tuple(max(1, round(float(side))) for side in exact)


def _cropped_or_padded(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the middle of an array, filled up with 0; there and back, places are kept."""
    if values.shape == shape:
        return values
    result = np.zeros(shape, values.dtype)
    here, there = [], []
    for old, new in zip(values.shape, shape, strict=True):
        length, apart = min(old, new), abs(old - new) // 2
        inner, outer = slice(0, length), slice(apart, apart + length)
        here.append(outer if old > new else inner)
        there.append(inner if old > new else outer)
    result[tuple(there)] = values[tuple(here)]
    return result
