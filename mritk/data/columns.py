"""What the columns of a table of samples may hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk.errors import DataError
from mritk.reading.spelling import composed, first_alike


def texts(
    name: str,
    column: Sequence[str],
    remedy: str = "give a value for every sample, or None instead of the column",
) -> tuple[str, ...]:
    """Return a column as plain strings, which hash alike whatever sequence they came in."""
    if any(value is None for value in column):
        raise DataError(f"column {name} has missing values; {remedy}")
    found = tuple(str(value) for value in column)
    for text in found:
        if "\0" in text or text != text.encode("utf-8", "ignore").decode():
            raise DataError(f"column {name} contains {text!r}, which is not valid text; rename it")
    return found


def target_column(column: object) -> np.ndarray:
    """Return the targets as a column that a task may look at: their own numbers, and no others.

    NumPy turns times into numbers of days, or of nanoseconds, and drops imaginary parts.
    """
    given = np.asarray(column)
    if given.ndim != 1:
        raise DataError(f"targets have shape {given.shape}; expected one per sample")
    kinds = {given.dtype.kind} | {
        one.dtype.kind for one in given if given.dtype == object and isinstance(one, np.generic)
    }
    if kinds & set("mMc"):
        raise DataError(f"targets must be numbers, without a unit; got {given[0]!r}")
    return given


def positions_of(rows: object, count: int) -> np.ndarray:
    """Return which of ``count`` samples ``rows`` are, int64: positions, or a mask as such."""
    given = np.asarray(rows)
    if given.dtype == object and given.size and all(map(_is_truth, given.flat)):
        given = given.astype(bool)  # such as a column of pandas that was made of objects
    if given.dtype == bool and given.shape != (count,):
        raise DataError(
            f"a mask of shape {given.shape} does not say which of {count} samples to keep; "
            "give one truth value for each"
        )
    if given.dtype == bool:
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise DataError(
            f"rows must be positions of samples or one truth value for each; got {given.dtype} "
            f"of shape {given.shape}"
        )
    return given.astype(np.int64)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def channels_of(names: Sequence[str], dims: int | None) -> tuple[str, ...]:
    """Return the names of channels."""
    if isinstance(names, str) or len(set(names)) < len(names) or not all(names):
        raise DataError(f"channels must be unique names, one per channel; got {names!r}")
    if names and dims is None:
        raise DataError("channels are of images and volumes; set spatial_dims to 2 or 3")
    return tuple(names)


def spacing_of(spacing: np.ndarray | None, dims: int | None) -> np.ndarray | None:
    """Return the spacing as (N, dims) float64."""
    if spacing is None:
        return None
    given = np.asarray(spacing, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != dims or not (np.isfinite(given) & (given > 0)).all():
        raise DataError(f"spacing must be (N, {dims}) distances in mm above 0; got {given.shape}")
    return given


def covariate(name: str, column: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return a covariate as texts, or as float64 numbers."""
    values = np.asarray(column)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    # A column of texts of pandas has NaN where one is missing.
    known = ["" if _is_nan(value) else value for value in column]
    remedy = "give NaN where a number is unknown, and an empty text where a text is"
    return np.asarray(texts(name, known, remedy), dtype=np.str_)


def _is_nan(value: object) -> bool:
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def require_one_form(ids: Sequence[str]) -> None:
    """Refuse ids that look alike and are two: an accent in its letter (NFC), or after it (NFD).

    Archives made on a Mac hold the second form. For classes, patients and sites the two are one:
    :mod:`mritk.data.one_name`.
    """
    if alike := first_alike((text for text in ids if not text.isascii()), composed):
        one, other = alike
        raise DataError(
            f"column ids contains {one!r} in two Unicode forms, {one!a} and {other!a}; use "
            "one form (NFC)"
        )
