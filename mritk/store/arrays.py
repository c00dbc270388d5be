"""Arrays and texts in few bytes of an HDF5 file, as every program reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import h5py
import numpy as np

from mritk.store.content import Array, Content

# Compressed data come with an index of about two kilobytes.
WORTH_COMPRESSING = 8192
# HDF5 describes a table in 65,535 bytes, where each column takes so many beside its name.
WIDEST, OF_COLUMN = 65_000, 64


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


def read_text(stored: Array) -> str:
    """Return the text that :func:`store_text` wrote."""
    return texts(stored[()])[0]


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


def store_table(
    group: h5py.Group, name: str, columns: Mapping[str, Sequence[str] | np.ndarray]
) -> None:
    """Write columns of one length as a table; what is too wide for one goes on in ``NAME.2``, ….

    Raises:
        ValueError: See :func:`table`.
    """
    parts: list[dict[str, Sequence[str] | np.ndarray]] = [{}]
    room = WIDEST
    for title, column in columns.items():
        taken = len(title.encode()) + OF_COLUMN
        if taken > room and parts[-1]:
            parts.append({})
            room = WIDEST
        parts[-1][title] = column
        room -= taken
    for number, part in enumerate(parts, 1):
        store(group, _numbered(name, number), table(part))


def read_table(group: Content, name: str) -> dict[str, np.ndarray]:
    """Return the columns that :func:`store_table` wrote; texts are in bytes, see :func:`texts`."""
    columns: dict[str, np.ndarray] = {}
    number = 1
    while number == 1 or _numbered(name, number) in group:
        rows = group[_numbered(name, number)][()]
        columns |= {title: rows[title] for title in rows.dtype.names or ()}
        number += 1
    return columns


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}.{number}"


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
