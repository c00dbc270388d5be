"""The predictions that figures draw: evaluated as the table is, by image or by patient."""

from __future__ import annotations

from mritk.evaluate.metric import Undefined
from mritk.evaluate.run_values import Scored
from mritk.results.table import Row, Table


def scored_rows(table: Table) -> list[tuple[Row, list[Scored]]]:
    """Return the rows whose trials are at hand, best first, with what is evaluated of each trial.

    It is what the numbers of the table are computed from: at its level, with its temperatures.
    Rows of which that is undefined are left out.
    """
    found = []
    for row in table.rows:
        records = table.records.get(row.name, ())
        try:
            scores = [table.analysis.scored(record) for record in records]
        except Undefined:
            continue
        if scores:
            found.append((row, scores))
    return found
