"""The disk space of decoded images, estimated from what the audit saw of the samples."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import CacheError
from mritk.files.workspace import Workspace
from mritk.images.decode import Decoding, is_decoded
from mritk.images.grid import Grid, GridLike, Size, size_text
from mritk.images.preprocessing import UNCHANGED, Preprocessing
from mritk.images.sample_grid import share_kept

logger = logging.getLogger("mritk")

# From here on a person is told before anything is written.
LARGE = 1e8
# Share of a sample that a grid keeps at least, or a person is told.
MOST = 0.5


def decoded_bytes(
    shapes: Sequence[tuple[int, ...]],
    modes: Sequence[str],
    size: GridLike,
    preprocessing: Preprocessing = UNCHANGED,
    named: int = 0,
) -> int:
    """Return the bytes of the array that :func:`mritk.images.decode.decoded` will write.

    Args:
        shapes: Per sample, its shape; ``()`` if it cannot be read.
        modes: Per sample, ``grey``, ``colour`` or ``volume`` with the dtype; empty likewise.
        size: Side in pixels or voxels, or a grid; None: as they are.
        preprocessing: What is done to each after resizing.
        named: Number of named channels; 0: grey or RGB. ``shapes`` and ``modes`` are of one.
    """
    readable = [(shape, mode) for shape, mode in zip(shapes, modes, strict=True) if mode]
    if not readable:
        return 0
    kinds = {mode.split()[0] for _, mode in readable}
    dims = 3 if "volume" in kinds else 2
    # Resampled to a spacing they may be larger or smaller; then this is a guess.
    frame = Grid.of(size).sides(dims) or readable[0][0][:dims]
    channels = named or (3 if "colour" in kinds and not preprocessing.grey else 1)
    item = 1 if all(mode.endswith(" uint8") for _, mode in readable) else 2 if named else 4
    return len(readable) * math.prod(frame) * channels * item


@lru_cache(maxsize=8)
def sides_of_first(samples: Samples) -> tuple[int, ...]:
    """Return the sides of the first image or volume; what stays as it is has one size."""
    dims, shape = samples.spatial_dims or 0, samples.read(0).shape
    return shape[-dims:] if samples.channels or dims == 3 else shape[:dims]


def warn_of_cropping(samples: Samples, shapes: Sequence[tuple[int, ...]], size: GridLike) -> None:
    """Warn if a grid cuts off most of a typical sample, which is seldom meant.

    Args:
        samples: Images or volumes.
        shapes: Per sample that was audited, its shape; ``()`` if it cannot be read.
        size: Side in pixels or voxels, or a grid.
    """
    grid, dims = Grid.of(size), samples.spatial_dims or 0
    known = [shape[:dims] for shape in shapes if shape]
    if grid.fit == "resize" or grid.size is None or not known:
        return
    if grid.spacing is not None and samples.spacing is None:
        return  # the plan refuses it, by name
    spacing = None if samples.spacing is None else np.median(samples.spacing, axis=0)
    typical = np.median(np.asarray(known), axis=0).astype(int).tolist()
    kept = share_kept(typical, grid, spacing)
    if kept < MOST:
        logger.warning(
            "a grid of %s keeps only %.0f %% of a typical sample of %s, the rest is cropped; for a "
            "whole one, set image_size (or volume_size) in the protocol higher",
            *(size_text(grid.size), 100 * kept, size_text(tuple(typical))),
        )


def require_room_for(
    samples: Samples,
    decodings: Sequence[Decoding],
    shapes: Sequence[tuple[int, ...]],
    modes: Sequence[str],
    workspace: Workspace,
) -> None:
    """Refuse to decode what does not fit on the disk; warn of much, and of grids that crop much.

    Args:
        samples: Images or volumes.
        decodings: How they will be decoded; those that are on that disk already take no more room.
        shapes: Per audited sample, as for :func:`decoded_bytes`.
        modes: Likewise.
        workspace: Where they will be kept.

    Raises:
        CacheError: There is not so much room.
    """
    absent = [one for one in decodings if not is_decoded(samples, one, workspace)]
    if not absent:
        return
    named = len(samples.channels)
    needed = sum(decoded_bytes(shapes, modes, one.grid, one.preprocessing, named) for one in absent)
    sizes = [Grid.of(one.grid).size for one in absent]
    require_room(needed, sizes, workspace.near("decoded") or workspace.folder("decoded"))
    for grid in {one.grid for one in absent}:
        warn_of_cropping(samples, shapes, grid)


def require_room(needed: int, sides: Sequence[Size], folder: Path) -> None:
    """Tell how much will be written, if that is a lot; refuse what does not fit.

    Args:
        needed: Bytes of decoded images.
        sides: Their sides, for the message.
        folder: Where they would be written.

    Raises:
        CacheError: There is not so much room.
    """
    free = shutil.disk_usage(folder).free
    what = f"{needed / 1e9:.1f} GB of decoded images ({_sides(sides)})"
    if needed > free:
        raise CacheError(
            f"not enough space for {what} in {folder} ({free / 1e9:.1f} GB free); choose a "
            "smaller image_size (or volume_size) in the protocol, free space, or set MRITK_HOME "
            "(or MRITK_SCRATCH) to another disk"
        )
    if needed > LARGE:
        logger.warning("%s will be written to %s (%.1f GB free)", what, folder, free / 1e9)


def _sides(sides: Sequence[Size]) -> str:
    return ", ".join("as they are" if size is None else f"{size_text(size)} px" for size in sides)
