"""Columns of a table that are not predicted, but by which results are divided."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from mritk import DataError, is_missing
from mritk_folders.target_column import number


def named_columns(option: str) -> tuple[str, ...]:
    """Return the names in an option ``covariates=age/sex``."""
    return tuple(name.strip() for name in option.split("/") if name.strip())


def require_columns(names: Sequence[str], columns: Sequence[str], table: object) -> None:
    """Refuse names that are no column.

    Raises:
        DataError: One is none; the message names the nearest column, and all.
    """
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise DataError(
                f"{table} has no column {name!r} for covariates={'/'.join(names)}{meant}; its "
                f"columns are {', '.join(columns)}"
            )


def covariates(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> dict[str, np.ndarray]:
    """Return columns of a table, one value per row.

    A column whose known values are all numbers is float64, NaN where one is missing; any other is
    of texts, empty where one is missing.
    """
    return {name: _column([row[name] for row in rows]) for name in names}


def _column(texts: Sequence[str]) -> np.ndarray:
    known = ["" if is_missing(text) else text for text in texts]
    numbers = [number(text) for text in known]
    if any(known) and all(n is not None or not t for n, t in zip(numbers, known, strict=True)):
        return np.asarray([np.nan if n is None else n for n in numbers], dtype=np.float64)
    return np.asarray(known, dtype=np.str_)
