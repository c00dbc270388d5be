"""Read arrays, or their headers alone, out of an ``.npz`` archive without ever unpickling."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from mritk import DataError, one_line, require_memory

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class ArrayHeader:
    """What an archive says of an array before its data."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_array_header(path: Path, key: str) -> ArrayHeader:
    """Return shape and dtype of the array ``key``, decompressing a few bytes only.

    Raises:
        DataError: The file is no archive or damaged, has no such array, holds Python objects, or
            the array has more or fewer bytes than its header promises.
    """
    with _member(path, key) as (stream, size):
        return _header(path, key, stream, size)


def read_array(path: Path, key: str) -> np.ndarray:
    """Return the array ``key``, read-only.

    Raises:
        DataError: As :func:`read_array_header`, its data are damaged, or memory cannot hold them.
    """
    with _member(path, key) as (stream, size):
        _header(path, key, stream, size)
        require_memory(size)
    with _member(path, key) as (stream, _):
        array = npy.read_array(stream, allow_pickle=False)
    array.flags.writeable = False
    return array


@contextmanager
def _member(path: Path, key: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open an array of the archive; yield it and its uncompressed size in bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = f"{key}.npy"
            if name not in archive.namelist():
                raise DataError(
                    f"{path} has no array {key}; a MedMNIST archive has images and labels of "
                    f"train, val and test"
                )
            with archive.open(name) as stream:
                yield stream, archive.getinfo(name).file_size
    except (DataError, MemoryError):
        raise
    except Exception as error:  # zip, deflate and the header each have errors of their own
        raise DataError(
            f"{path}: {key} cannot be read ({one_line(error)}); the file is not an archive, or is "
            "truncated or damaged; download it again"
        ) from error


def _header(path: Path, key: str, stream: IO[bytes], size: int) -> ArrayHeader:
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise DataError(f"{path}: {key} is not a plain array (format {version})")
    shape, _, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise DataError(
            f"{path}: {key} contains Python objects, which are not unpickled because that can "
            "execute code; MedMNIST archives contain only numbers"
        )
    promised = dtype.itemsize * int(np.prod(shape, dtype=object))
    if size - stream.tell() != promised:
        raise DataError(
            f"{path}: {key} has {size - stream.tell()} bytes of data, but {promised} stated in "
            "its header; download it again"
        )
    return ArrayHeader(shape, dtype)
