"""Arrays and texts in few bytes of an HDF5 file, as every program reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import h5py
import numpy as np

# Compressed data come with an index of about two kilobytes.
WORTH_COMPRESSING = 8192


def store(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """Write an array; a large one of whole numbers, texts or a table is compressed.

    The last digits of floats are noise, which does not compress: an array of floats is written as
    it is.
    """
    large = values.nbytes >= WORTH_COMPRESSING and values.ndim and values.dtype.kind != "f"
    how = {"chunks": values.shape, "compression": "gzip", "shuffle": True} if large else {}
    group.create_dataset(name, data=values, **how)


def smallest(values: np.ndarray) -> np.ndarray:
    """Return an array of whole numbers in the fewest bytes that hold them; others as they are."""
    if values.dtype.kind not in "iu" or not values.size:
        return values
    return values.astype(np.result_type(*map(np.min_scalar_type, (values.min(), values.max()))))


def store_text(group: h5py.Group, name: str, text: str) -> None:
    """Write a text, as an array of one."""
    store(group, name, table({name: [text]})[name])


def read_text(dataset: h5py.Dataset) -> str:
    """Return the text that :func:`store_text` wrote."""
    return texts(dataset[()])[0]


def table(columns: Mapping[str, Sequence[str] | np.ndarray]) -> np.ndarray:
    """Return columns of one length as a structured array; texts are UTF-8 of a fixed length.

    Raises:
        ValueError: A text contains NUL, which would not come back.
    """
    arrays = {name: _as_array(column) for name, column in columns.items()}
    count = len(next(iter(arrays.values()), ()))
    found = np.empty(count, np.dtype([(name, array.dtype) for name, array in arrays.items()]))
    for name, array in arrays.items():
        found[name] = array
    return found


def texts(column: np.ndarray) -> list[str]:
    """Return a column of fixed-length UTF-8 as texts."""
    return [text.decode() for text in column.tolist()]


def _as_array(column: Sequence[str] | np.ndarray) -> np.ndarray:
    if isinstance(column, np.ndarray) and column.dtype.kind not in "OUS":
        return column
    encoded = [str(text).encode() for text in column]
    if any(b"\0" in text for text in encoded):
        raise ValueError("VLEN strings do not support embedded NULLs")
    length = max(map(len, encoded), default=0)
    return np.asarray(encoded, dtype=h5py.string_dtype("utf-8", max(1, length)))
