"""The predictions that figures draw: evaluated as the table is, by image or by patient."""

from __future__ import annotations

import numpy as np

from mritk.errors import UsageError
from mritk.evaluate.metric import Undefined
from mritk.evaluate.run_values import Scored
from mritk.results.table import Row, Table


def scored_rows(table: Table) -> list[tuple[Row, list[Scored]]]:
    """Return the rows whose trials are at hand, best first, with what is evaluated of each trial.

    It is what the numbers of the table are computed from: at its level, with its temperatures.
    Rows of which that is undefined are left out.
    """
    return _scored(table)[0]


def drawn_rows(table: Table) -> list[tuple[Row, list[Scored]]]:
    """Return those rows without the ones that have scores that are no finite numbers.

    Raises:
        UsageError: None is left; the text tells why.
    """
    rows, reasons = _scored(table)
    found = []
    for row, scores in rows:
        if all(np.isfinite(trial.score).all() for trial in scores):
            found.append((row, scores))
        else:
            reasons.append("some scores are NaN or infinite")
    if not found:
        told = f" ({'; '.join(dict.fromkeys(reasons))})" if reasons else ""
        raise UsageError(f"{table.keys['dataset']}: no row has predictions to draw{told}")
    return found


def _scored(table: Table) -> tuple[list[tuple[Row, list[Scored]]], list[str]]:
    """Return the rows of :func:`scored_rows`, and why others are left out."""
    found, reasons = [], []
    for row in table.rows:
        records = table.records.get(row.name, ())
        try:
            scores = [table.analysis.scored(record) for record in records]
        except Undefined as undefined:
            reasons.append(str(undefined))
            continue
        if scores:
            found.append((row, scores))
    return found, reasons
