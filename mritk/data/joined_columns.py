"""Columns of several datasets as one column, where not all have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk.data.samples import Samples


def joined_spacing(tables: Sequence[Samples]) -> np.ndarray | None:
    """Return the spacing of all samples, (N, spatial_dims) float64; None if a dataset has none."""
    known = [samples.spacing for samples in tables if samples.spacing is not None]
    return np.concatenate(known) if len(known) == len(tables) else None


def joined_covariates(tables: Sequence[Samples]) -> dict[str, np.ndarray]:
    """Return every covariate that a dataset has, for all samples.

    A covariate is a number if it is one wherever it is known. Where it is unknown, it is NaN; a
    text is empty.
    """
    names = dict.fromkeys(name for samples in tables for name in samples.covariates)
    return {name: _joined(name, tables) for name in names}


def _joined(name: str, tables: Sequence[Samples]) -> np.ndarray:
    columns = [_known(s.covariates[name]) if name in s.covariates else None for s in tables]
    told = [column for column in columns if column is not None]
    numeric = bool(told) and all(column.dtype.kind == "f" for column in told)
    absent = np.nan if numeric else ""
    filled = [
        np.full(len(samples), absent) if column is None else column
        for samples, column in zip(tables, columns, strict=True)
    ]
    return np.concatenate(filled if numeric else [_texts(column) for column in filled])


def _known(column: Sequence[str] | np.ndarray) -> np.ndarray | None:
    """Return a column; None if it tells nothing of any sample."""
    values = np.asarray(column)
    return values if values.dtype.kind == "f" or (values != "").any() else None


def _texts(column: np.ndarray) -> np.ndarray:
    """Return numbers as texts, since another dataset has texts; NaN is empty."""
    if column.dtype.kind != "f":
        return column
    return np.asarray(
        ["" if np.isnan(value) else f"{value:.15g}" for value in column], dtype=np.str_
    )
