"""The predictions that figures draw: evaluated as the table is, by image or by patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk.errors import UsageError
from mritk.evaluate.metric import Undefined
from mritk.evaluate.run_values import Scored
from mritk.report.style import rest_note, short
from mritk.results.table import Row, Table


def scored_rows(table: Table) -> list[tuple[Row, list[Scored]]]:
    """Return the rows whose trials are at hand, best first, with what is evaluated of each trial.

    It is what the numbers of the table are computed from: at its level, with its temperatures.
    Rows of which that is undefined, or has scores that are no finite numbers, are left out.
    """
    return _scored(table)[0]


def drawn_rows(table: Table) -> list[tuple[Row, list[Scored]]]:
    """Return those rows, of which there is one at least.

    Raises:
        UsageError: There is none; the text tells why.
    """
    found, reasons = _scored(table)
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
        if not all(np.isfinite(trial.score).all() for trial in scores):
            reasons.append("some scores are NaN or infinite")
        elif scores:
            found.append((row, scores))
    return found, reasons


def rows_note(table: Table, drawn: Sequence[tuple[Row, list[Scored]]], shown: int) -> str:
    """Say which rows with trials a figure of the first ``shown`` of these leaves out, if any."""
    names = {row.name for row, _ in drawn}
    trained = [row.name for row in table.rows if table.records.get(row.name)]
    left = [short(name) for name in trained if name not in names]
    undrawn = f"Not drawn, some scores are undefined: {', '.join(left)}." if left else ""
    return f"{rest_note(shown, len(drawn))} {undrawn}".strip()
