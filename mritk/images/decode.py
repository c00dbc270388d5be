"""Decode every sample once, into one array on disk that all trials share.

The array is kept under the digests of the samples, so a changed file can never meet a stale cache
(:mod:`mritk.files.kept`); images are uint8 (floats stay float32, those of several channels are
float16).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from mritk.data.samples import Samples, UnreadableSamples
from mritk.errors import DataError, UsageError, one_line
from mritk.files.kept import Draft, kept, key_of
from mritk.files.workspace import Workspace
from mritk.images.channels import Shaping, shaping_code
from mritk.images.grid import Grid, GridLike
from mritk.images.identified import SampleChanged
from mritk.images.preprocessing import UNCHANGED, Preprocessing
from mritk.images.shaping import RESAMPLING
from mritk.machine.in_threads import in_threads

WHAT, IMAGES = "decoded images", "images"


class Decoding(NamedTuple):
    """How images are decoded: the grid, the interpolation, and the preprocessing after it."""

    grid: GridLike
    interpolation: str
    preprocessing: Preprocessing


class _ColourFound(Exception):
    """A coloured image stands among the grey ones."""


def decoded(
    samples: Samples,
    size: GridLike,
    interpolation: str,
    workspace: Workspace,
    preprocessing: Preprocessing = UNCHANGED,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Return all samples as one read-only array, decoding them if that was not done before.

    Args:
        samples: Images or volumes.
        size: Side in pixels or voxels, or a grid; None: as they are, which must then be one shape.
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``.
        workspace: Where the array is kept.
        preprocessing: What is done to each after resizing.
        progress: Called with the share of the samples that is decoded.

    Returns:
        A memory-mapped array (N, H, W), (N, H, W, 3) or (N, D, H, W), uint8 or float32; of samples
        with named channels (N, C, *spatial), uint8 or float16.

    Raises:
        UnreadableSamples: Some samples cannot be decoded.
        SampleChanged: A file was written to meanwhile.
        DataError: The samples have no spatial dimensions, or several shapes and no ``size``.
    """
    if interpolation not in RESAMPLING:
        known = ", ".join(RESAMPLING)
        raise UsageError(f"unknown interpolation {interpolation!r}; expected one of {known}")
    if not len(samples):
        raise DataError("no samples to decode")
    if samples.spatial_dims not in (2, 3):
        raise DataError("these samples are not images; they require a custom method")
    grid = Grid.of(size)
    try:
        grid.sides(samples.spatial_dims)
    except ValueError as error:
        what = "images" if samples.spatial_dims == 2 else "volumes"
        raise UsageError(f"{what} cannot be brought to this grid: {error}") from error
    rows = _Rows(samples, grid, interpolation, preprocessing)
    make = partial(_make, rows, progress=progress)
    entry = kept(workspace.folder("decoded"), rows.identity, make, WHAT, workspace.near("decoded"))
    return entry.arrays[IMAGES]


def is_decoded(samples: Samples, how: Decoding, workspace: Workspace) -> bool:
    """Tell, by its name alone, whether :func:`decoded` would find an array where it uses it.

    What is in ``home`` only would be copied to ``scratch``, and takes as much room there.
    """
    rows = _Rows(samples, Grid.of(how.grid), how.interpolation, how.preprocessing)
    place = workspace.near("decoded") or workspace.folder("decoded")
    return (place / key_of(rows.identity)).is_dir()


def decode_all(
    samples: Samples,
    decodings: Iterable[Decoding],
    workspace: Workspace,
    progress: Callable[[float], None],
) -> None:
    """Decode all samples in each of these ways, where that was not done before.

    Raises:
        UnreadableSamples, SampleChanged, DataError: See :func:`decoded`.
    """
    for grid, interpolation, preprocessing in decodings:
        decoded(samples, grid, interpolation, workspace, preprocessing, progress)


@dataclass(frozen=True, eq=False)
class _Rows:
    """How each sample becomes a row, and what tells these rows from others."""

    samples: Samples
    grid: Grid
    interpolation: str
    preprocessing: Preprocessing

    def __call__(self, row: int) -> np.ndarray:
        samples, dims = self.samples, self.samples.spatial_dims or 0
        spacing = None if samples.spacing is None else samples.spacing[row]
        return Shaping(
            dims, self.grid, self.interpolation, self.preprocessing, samples.channels
        ).of(samples.read(row), spacing)

    @property
    def identity(self) -> list[object]:
        return [
            *shaping_code(),
            self.interpolation,
            self.samples.spatial_dims,
            self.samples.contents,
            len(self.samples.channels),
            *grid_identity(self.samples, self.grid),
            *self.preprocessing.identity(),
        ]


def grid_identity(samples: Samples, grid: Grid) -> list[object]:
    """Return, as plain data, what bringing samples to a grid depends on."""
    spacing = samples.spacing if grid.spacing is not None else None
    return [grid.size, grid.fit, grid.spacing, None if spacing is None else spacing.tolist()]


def _make(rows: _Rows, draft: Draft, progress: Callable[[float], None]) -> dict[str, object]:
    try:
        _fill(rows, draft, progress, colour=False)
    except _ColourFound:
        _fill(rows, draft, progress, colour=True)
    return {}


def _fill(rows: _Rows, draft: Draft, progress: Callable[[float], None], *, colour: bool) -> None:
    samples = rows.samples
    may_be_coloured = samples.spatial_dims == 2 and not samples.channels
    array: np.memmap | None = None
    bad: dict[int, str] = {}
    for row, result in enumerate(in_threads(rows, len(samples))):
        if isinstance(result, SampleChanged):
            raise result
        if isinstance(result, Exception):
            bad[row] = one_line(result)
            continue
        if may_be_coloured and result.ndim == 3 and not colour:
            raise _ColourFound
        item = np.repeat(result[..., None], 3, axis=-1) if colour and result.ndim == 2 else result
        if array is None:
            array = draft.array(IMAGES, (len(samples), *item.shape), item.dtype)
        if item.dtype != array.dtype:
            raise DataError(
                f"sample {samples.ids[row]} is {item.dtype}, the first {array.dtype}; a dataset "
                "must use either uint8 or floats in [0, 1]"
            )
        if item.shape != array.shape[1:]:
            raise DataError(
                f"sample {samples.ids[row]} has shape {item.shape}, the first {array.shape[1:]}; "
                "set image_size (or volume_size) in the protocol instead of native"
            )
        array[row] = item
        progress((row + 1) / len(samples))
    if bad:
        raise UnreadableSamples(samples.ids, bad)
    if array is not None:
        array.flush()
