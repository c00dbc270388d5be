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
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import numpy as np
from PIL import Image

from mritk.cores import available_cores
from mritk.data.preprocessing import UNCHANGED, Preprocessing
from mritk.data.samples import Samples, UnreadableSamples
from mritk.errors import DataError, StoreError, UsageError
from mritk.workspace import Workspace

T = TypeVar("T")

logger = logging.getLogger("mritk")

# Raise this when the pixels that come out of this module or of the readers change.
DECODER_VERSION = 2

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class Shaping:
    """How an array as a dataset gives it becomes a row of the decoded ones.

    Attributes:
        spatial_dims: 2 for images, 3 for volumes.
        size: Side in pixels or voxels; None: as it is.
        interpolation: Used to resize images.
        preprocessing: Applied after resizing.
    """

    spatial_dims: int
    size: int | None
    interpolation: str
    preprocessing: Preprocessing

    def of(self, array: np.ndarray) -> np.ndarray:
        """Return the row.

        Raises:
            DataError: The array is of a wrong dtype, range or shape.
        """
        resized = self._resized(_checked(array))
        if not self.preprocessing:
            return resized
        return self.preprocessing.of(resized, spatial_dims=self.spatial_dims)

    def _resized(self, array: np.ndarray) -> np.ndarray:
        if self.spatial_dims == 2:
            return _resized_image(_without_equal_channels(array), self.size, self.interpolation)
        if array.ndim != 3:
            raise DataError(f"a volume has 3 dimensions, not shape {array.shape}")
        return resized_volume(array, self.size)


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


def require_readable(samples: Samples) -> None:
    """Read every sample once.

    Raises:
        UnreadableSamples: Some cannot be read.
    """
    results = enumerate(in_threads(samples.read, len(samples)))
    bad = {row: reason_of(result) for row, result in results if isinstance(result, Exception)}
    if bad:
        raise UnreadableSamples(samples.ids, list(bad), list(bad.values()))


def _key(samples: Samples, shaping: Shaping) -> str:
    identity = [
        DECODER_VERSION,
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


def in_threads(make: Callable[[int], T], count: int) -> Iterator[T | Exception]:
    """Yield what ``make`` returns, or the exception that it raises, for each row in order."""

    def attempt(row: int) -> T | Exception:
        try:
            return make(row)
        except MemoryError:
            raise
        except Exception as error:
            return error

    # Pillow releases the interpreter lock while it decodes and resizes.
    workers = available_cores()
    ahead: deque[Future[T | Exception]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for row in range(count):
            # Finished results wait in memory, and a volume is large: few are made ahead.
            if len(ahead) == 2 * workers:
                yield ahead.popleft().result()
            ahead.append(pool.submit(attempt, row))
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def reason_of(error: Exception) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _checked(array: np.ndarray) -> np.ndarray:
    """Return an array as uint8 or float32; refuse one that holds anything but pixels."""
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"holds {array.dtype}; give uint8, or floats in [0, 1]")
        array = np.asarray(array, dtype=np.float32)
        if not np.isfinite(array).all():
            raise DataError("holds NaN or infinite values")
        if array.size and (array.min() < 0 or array.max() > 1):
            raise DataError(f"holds values from {array.min():g} to {array.max():g}, not 0 to 1")
    return array


def _without_equal_channels(image: np.ndarray) -> np.ndarray:
    if image.ndim == 2:
        return image
    if image.ndim != 3 or image.shape[-1] != 3:
        raise DataError(f"an image is (H, W) or (H, W, 3), not {image.shape}")
    grey = image[..., 0]
    same = np.array_equal(grey, image[..., 1]) and np.array_equal(grey, image[..., 2])
    return np.ascontiguousarray(grey) if same else image


def _resized_image(image: np.ndarray, size: int | None, interpolation: str) -> np.ndarray:
    if size is None or image.shape[:2] == (size, size):
        return image
    resample = RESAMPLING[interpolation]
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((size, size), resample))
    channels = image[..., None] if image.ndim == 2 else image
    planes = [
        # Bicubic interpolation overshoots at edges.
        np.asarray(Image.fromarray(channels[..., c]).resize((size, size), resample)).clip(0, 1)
        for c in range(channels.shape[-1])
    ]
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def resized_volume(volume: np.ndarray, size: int | None) -> np.ndarray:
    """Return a volume (D, H, W) resized to a cube, smoothed first where it shrinks."""
    if size is None or volume.shape == (size, size, size):
        return volume
    from scipy import ndimage

    factors = [size / side for side in volume.shape]
    smooth = volume.astype(np.float32)
    # A Gaussian of this width suppresses what the coarser grid cannot hold.
    sigma = [max(0.0, (1 / factor - 1) / 2) for factor in factors]
    smooth = ndimage.gaussian_filter(smooth, sigma)
    resized = ndimage.zoom(smooth, factors, order=1, mode="nearest", grid_mode=True)
    if volume.dtype == np.uint8:
        return np.clip(np.rint(resized), 0, 255).astype(np.uint8)
    return resized
