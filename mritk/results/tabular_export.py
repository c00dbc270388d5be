"""A leaderboard as one flat table, a line per row: CSV and Parquet."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from mritk.errors import import_extra
from mritk.files.atomic import write_whole
from mritk.results.cost import COLUMNS
from mritk.results.table import Leaderboard, Row, Table


def records(board: Leaderboard) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of the columns and one record per row; what a row lacks is absent."""
    metrics = list(dict.fromkeys(m.name for table in board.tables for m in table.metrics))
    shared = list(dict.fromkeys(key for table in board.tables for key in table.keys))
    counts = ["test_samples", "clean_test_samples", "trials", "failed"]
    columns = list(dict.fromkeys([*shared, "backbone", "augmentation", "method", "tie", *counts]))
    columns += [f"{name}_{what}" for name in metrics for what in ("mean", "sd", "low", "high")]
    columns += ["marks", "ranked", *(f"{name}_clean_mean" for name in metrics)]
    columns += [column.name for column in COLUMNS]
    return columns, [_record(table, row) for table in board.tables for row in table.rows]


def _record(table: Table, row: Row) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for name, cell in row.cells.items():
        numbers[f"{name}_mean"], numbers[f"{name}_sd"] = cell.mean, cell.spread
        if cell.interval is not None:
            numbers[f"{name}_low"] = cell.interval.low
            numbers[f"{name}_high"] = cell.interval.high
    for name, cell in row.clean_cells.items():
        numbers[f"{name}_clean_mean"] = cell.mean
    told = {
        "tie": row.tie,
        "test_samples": table.test_samples or None,
        "clean_test_samples": table.clean_samples if table.test_samples else None,
        "trials": row.trials,
        "failed": row.failed,
        "marks": row.marks,
        "ranked": row.ranked,
    }
    return {**table.keys, **row.keys, **told, **numbers, **row.cost}


def csv_text(board: Leaderboard) -> str:
    """Return the leaderboard as CSV with full numbers."""
    columns, rows = records(board)
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def write_parquet(board: Leaderboard, path: Path) -> None:
    """Write the leaderboard as a Parquet file.

    Raises:
        Unavailable: pyarrow is not installed.
        StoreError: The file cannot be written.
    """
    pyarrow, parquet = (
        import_extra(name, "Parquet needs pyarrow", extra="parquet")
        for name in ("pyarrow", "pyarrow.parquet")
    )
    columns, rows = records(board)
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in columns})
    content = io.BytesIO()
    parquet.write_table(table, content)
    write_whole(path, content.getvalue(), "choose another file with -o", parents=0)
