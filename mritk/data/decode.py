"""Decode every sample once, into one array on disk that all trials share.

Images are resized to a square, volumes to a cube, with antialiasing, and stored as uint8 (floats
stay float32). Images that are grey throughout are stored with one channel. The array is keyed by
the content of the samples, so a changed file can never meet a stale cache, and it is renamed into
place only when complete, so a half-written one is never read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from pathlib import Path
from uuid import uuid4

import numpy as np

from mritk.data.identified import SampleChanged
from mritk.data.in_threads import in_threads, reason_of
from mritk.data.preprocessing import UNCHANGED, Preprocessing
from mritk.data.samples import Samples, UnreadableSamples
from mritk.data.shaping import RESAMPLING, Shaping, shaping_code
from mritk.errors import DataError, StoreError, UsageError
from mritk.workspace import Workspace

logger = logging.getLogger("mritk")


class _ColourFound(Exception):
    """A coloured image stands among the grey ones."""


def decoded(
    samples: Samples,
    size: int | None,
    interpolation: str,
    workspace: Workspace,
    preprocessing: Preprocessing = UNCHANGED,
) -> np.ndarray:
    """Return all samples as one read-only array, decoding them if that was not done before.

    Args:
        samples: Images or volumes.
        size: Side in pixels or voxels; None: as they are, which must then be one shape.
        interpolation: ``bilinear`` or ``bicubic``.
        workspace: Where the array is kept.
        preprocessing: What is done to each after resizing.

    Returns:
        A memory-mapped array (N, H, W), (N, H, W, 3) or (N, D, H, W); uint8 or float32.

    Raises:
        UnreadableSamples: Some samples cannot be decoded.
        SampleChanged: A file was written to meanwhile.
        DataError: The samples have no spatial dimensions, or several shapes and no ``size``.
    """
    if interpolation not in RESAMPLING:
        raise UsageError(f"unknown interpolation {interpolation!r}; it is bilinear or bicubic")
    if not len(samples):
        raise DataError("there are no samples to decode")
    if samples.spatial_dims not in (2, 3):
        raise DataError("these samples do not lie on a grid; only a method of their own reads them")
    shaping = Shaping(samples.spatial_dims or 0, size, interpolation, preprocessing)
    path = workspace.folder("decoded") / f"{_key(samples, shaping)}.npy"
    if path.exists():
        try:
            return np.load(path, mmap_mode="r")
        except (ValueError, EOFError, OSError):
            logger.warning("decoded images in %s are damaged; decoding again", path)
    _write(samples, shaping, path)
    return np.load(path, mmap_mode="r")


def _key(samples: Samples, shaping: Shaping) -> str:
    identity = [
        *shaping_code(),
        shaping.size,
        shaping.interpolation,
        shaping.spatial_dims,
        samples.contents,
        *shaping.preprocessing.identity(),
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def _write(samples: Samples, shaping: Shaping, path: Path) -> None:
    temporary = path.with_suffix(f".{uuid4().hex}.tmp")
    try:
        try:
            _fill(samples, shaping, temporary, colour=False)
        except _ColourFound:
            _fill(samples, shaping, temporary, colour=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _fill(samples: Samples, shaping: Shaping, path: Path, *, colour: bool) -> None:
    def prepare(row: int) -> np.ndarray:
        return shaping.of(samples.read(row))

    array: np.memmap | None = None
    bad: dict[int, str] = {}
    for row, result in enumerate(in_threads(prepare, len(samples))):
        if isinstance(result, SampleChanged):
            raise result
        if isinstance(result, Exception):
            bad[row] = reason_of(result)
            continue
        item = result
        if samples.spatial_dims == 2 and item.ndim == 3 and not colour:
            raise _ColourFound
        if colour and item.ndim == 2:
            item = np.repeat(item[..., None], 3, axis=-1)
        if array is None:
            shape = (len(samples), *item.shape)
            array = _allocate(path, item.dtype, shape)
        if item.dtype != array.dtype:
            raise DataError(
                f"sample {samples.ids[row]} is {item.dtype}, the first {array.dtype}; a dataset "
                f"gives either uint8 or floats in [0, 1]"
            )
        if item.shape != array.shape[1:]:
            raise DataError(
                f"sample {samples.ids[row]} has shape {item.shape}, the first {array.shape[1:]}; "
                f"give the protocol an image_size (or volume_size) instead of native"
            )
        array[row] = item
    if bad:
        raise UnreadableSamples(samples.ids, list(bad), list(bad.values()))
    if array is not None:
        array.flush()


def _allocate(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """Return an empty array on disk whose space is really there.

    Writing to a memory map on a full disk would kill the process without a word.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    try:
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return array  # the file system cannot reserve space
        raise StoreError(
            f"no room for {path.stat().st_size / 1e9:.1f} GB of decoded data in {path.parent}: "
            f"{error.strerror}; free space, or set MRITK_HOME to another disk"
        ) from error
    return array
