"""Write a leaderboard as text: github, plain, latex, csv, html, json; or as Parquet."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mritk.errors import UsageError
from mritk.evaluate.interval import Interval
from mritk.results.cost import COLUMNS, CostColumn
from mritk.results.flat import csv_text
from mritk.results.markdown import escape
from mritk.results.table import Cell, Leaderboard, Row, Table

TABULATE = {"github": "github", "plain": "simple", "latex": "latex_booktabs", "html": "html"}
FORMATS = (*TABULATE, "csv", "json")
LATEX = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--", "²": "$^2$", "κ": r"$\kappa$"}
LATEX |= {"†": r"$^\dagger$", "‡": r"$^\ddagger$", "§": r"$^\S$", "¶": r"$^\P$", "‖": r"$^\|$"}
# In sentences, which hold names: what begins a tag or a comment, and what ends a link's text.
MARKUP = re.compile(r"<(?=[A-Za-z/!?])|(?<=\])\(")
UNESCAPED_BAR = re.compile(r"(?<!\\)\|")
SCHEMES = {
    "official": "official split",
    "holdout": "hold-out split",
    "kfold": "{parts}-fold cross-validation",
    "site": "leave one site out, {parts} sites",
}
EXTRA_COLUMNS = ("intervals", "sd", "trials", *(column.name for column in COLUMNS))
USUAL_COLUMNS = ("sd", "parameters", "trials")


def require_columns(names: Sequence[str]) -> None:
    """Refuse a column that does not exist.

    Raises:
        UsageError: There is none of that name.
    """
    for name in names:
        if name not in EXTRA_COLUMNS:
            raise UsageError(
                f"there is no column {name!r}; there is {', '.join(EXTRA_COLUMNS)}, and --metric "
                f"chooses metrics"
            )


def format_leaderboard(
    board: Leaderboard, style: str, columns: Sequence[str] = USUAL_COLUMNS
) -> str:
    """Return the leaderboard in one of :data:`FORMATS`.

    Args:
        board: The leaderboard.
        style: One of :data:`FORMATS`.
        columns: Which of :data:`EXTRA_COLUMNS` stand beside the metrics, in text formats.
    """
    if style == "json":
        return json.dumps(as_data(board), indent=2)
    if style == "csv":
        return csv_text(board)
    blocks = [_block(table, style, columns) for table in board.tables]
    notes = [f"Other conditions: {line}" for line in board.drift]
    notes += [f"Not read: {line}" for line in board.damaged]
    if notes:
        blocks.append(sentences(notes, style))
    return "\n\n".join(blocks)


def caption(table: Table) -> str:
    """Return one line that says what all rows of a table share.

    The digits behind dataset and protocol are the beginnings of their fingerprints.
    """
    keys = table.keys
    repeats, shots = table.protocol.repeats, table.protocol.shots
    parts_drawn = table.folds // repeats
    scheme = SCHEMES.get(keys["scheme"], keys["scheme"]).format(parts=parts_drawn)
    scheme += f", {repeats} repeats" if repeats > 1 else ""
    if shots:
        scheme += f", {shots} shots per class"
    elif "shots=0" in keys["protocol"]:  # which reads as if there were none
        scheme += ", all training samples"
    tested = f"{table.test_samples} test samples"
    if table.clean_samples < table.test_samples:
        tested += f" ({table.clean_samples} clean)"
    tested += f" of {table.patients} patients" if table.patients else ""
    parts = [
        f"{keys['dataset']} ({keys['dataset_fingerprint'][:8]})",
        f"protocol {keys['protocol']} ({keys['fingerprint'][:8]})",
        f"{scheme}, {tested}",
    ]
    fixed = {"dataset", "dataset_fingerprint", "protocol", "fingerprint", "scheme"}
    parts += [f"{name} {value}" for name, value in keys.items() if name not in fixed]
    return " · ".join(parts)


def _block(table: Table, style: str, columns: Sequence[str]) -> str:
    from tabulate import tabulate

    shown = _columns(table, columns, style)
    rows = [[_cell(cell(row), style) for cell in shown.values()] for row in table.rows]
    body = tabulate(rows, list(shown), tablefmt=TABULATE[style], disable_numparse=True)
    if style == "latex":
        # Characters outside ASCII are not every LaTeX installation's.
        for sign, command in LATEX.items():
            body = body.replace(sign, command)
    head = sentences([name_text(caption(table), style)], style)
    return f"{head}\n\n{body}\n\n{sentences(table.notes, style)}"


def _columns(table: Table, wanted: Sequence[str], style: str) -> dict[str, Any]:
    """Return what stands in each column, as functions of a row, by heading."""
    first, *others = table.metrics
    every = "intervals" in wanted
    shown: dict[str, Any] = {"backbone": lambda row: name_text(row.keys["backbone"], style)}
    if len({row.keys["augmentation"] for row in table.rows}) > 1:
        shown["augmentation"] = lambda row: name_text(row.keys["augmentation"], style)
    if len([row for row in table.rows if row.tie]) > 1:
        shown["tie"] = lambda row: row.tie or "–"
    heading = f"{first.label} {first.arrow}"
    if any(row.clean_cells for row in table.rows):  # the metric that sorts, on both sets
        heading = f"{first.label} ({table.test_samples}) {first.arrow}"
        clean = f"clean ({table.clean_samples}) {first.arrow}"
    shown[heading] = lambda row: cell_text(row.cells[first.name], row.marks)
    if "sd" in wanted and any(row.trials > 1 for row in table.rows):
        shown["SD"] = lambda row: _decimals(row.cells[first.name].spread)
    if any(row.clean_cells for row in table.rows):
        shown[clean] = lambda row: cell_text(row.clean_cells.get(first.name), row.marks)
    for metric in others:

        def metric_cell(row: Row, name: str = metric.name) -> str:
            return cell_text(row.cells[name], row.marks, interval=every)

        shown[f"{metric.label} {metric.arrow}".rstrip()] = metric_cell
    for column in COLUMNS:
        if column.name in wanted and any(column.name in row.cost for row in table.rows):

            def cost_cell(row: Row, column: CostColumn = column) -> str:
                return column.text(row.cost.get(column.name, math.nan))

            shown[f"{column.label} {column.arrow}"] = cost_cell
    if "trials" in wanted:
        shown["trials"] = _trials
    return shown


def name_text(text: str, style: str) -> str:
    """Return a name, or a line of names, that Markdown takes for nothing but text."""
    return escape(text) if style == "github" else " ".join(text.split())


def _cell(text: str, style: str) -> str:
    return UNESCAPED_BAR.sub(r"\|", text) if style == "github" else text


def sentences(lines: Sequence[str], style: str) -> str:
    """Return sentences, which hold names, as lines of a style; names bring no markup."""
    lines = [" ".join(line.split()) for line in lines]
    if style == "latex":
        return "\n".join(f"% {line}" for line in lines)
    if style == "html":
        return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)
    if style == "github":
        return "  \n".join(MARKUP.sub(r"\\\g<0>", line) for line in lines)
    return "\n".join(lines)


def cell_text(cell: Cell | None, marks: str, *, interval: bool = True) -> str:
    """Return a cell as tables show it: the mean, signs, and the interval in brackets."""
    if cell is None or not cell.values:
        return "–"
    if not cell.defined:
        return f"nan{marks}"
    between = cell.interval if interval else None
    ends = "" if between is None or between.reason else f" {interval_text(between)}"
    return f"{cell.mean:.3f}{marks}{ends}"


def interval_text(interval: Interval) -> str:
    """Return an interval as ``[low, high]``."""
    return f"[{interval.low:.3f}, {interval.high:.3f}]"


def _decimals(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _trials(row: Row) -> str:
    return f"{row.trials} ({row.failed} failed)" if row.failed else str(row.trials)


def as_data(board: Leaderboard) -> dict[str, Any]:
    """Return the leaderboard as JSON-able data; undefined numbers are null."""
    return {
        "tables": [
            {
                **table.keys,
                "task": table.task.kind,
                "sorted_by": table.metrics[0].name,
                "level": table.analysis.level,
                "test_samples": table.test_samples,
                "clean_test_samples": table.clean_samples,
                "patients": table.patients or None,
                "detectable_difference": _number(table.detectable),
                "notes": table.notes,
                "rows": [_row_as_data(row) for row in table.rows],
                "comparisons": {
                    name: [comparison_as_data(comparison) for comparison in comparisons]
                    for name, comparisons in table.comparisons.items()
                },
            }
            for table in board.tables
        ],
        "differing_protocol_fields": list(board.drift),
        "not_read": list(board.damaged),
    }


def _row_as_data(row: Row) -> dict[str, Any]:
    return {
        **row.keys,
        "tie": row.tie,
        "trials": row.trials,
        "failed": row.failed,
        "seeds": list(row.seeds),
        "folds": list(row.folds),
        "marks": row.marks,
        "metrics": _cells_as_data(row.cells),
        "clean_metrics": _cells_as_data(row.clean_cells),
        "cost": {name: _number(value) for name, value in row.cost.items()},
    }


def _cells_as_data(cells: Mapping[str, Cell]) -> dict[str, Any]:
    return {
        name: {
            "mean": _number(cell.mean),
            "sd": _number(cell.spread),
            "values": [_number(value) for value in cell.values],
            "reason": cell.reason,
            "interval": None if cell.interval is None else interval_as_data(cell.interval),
        }
        for name, cell in cells.items()
    }


def interval_as_data(interval: Interval) -> dict[str, Any]:
    """Return an interval as JSON-able data."""
    return {
        "low": _number(interval.low),
        "high": _number(interval.high),
        "standard_error": _number(interval.standard_error),
        "level": interval.level,
        "resamples": interval.resamples,
        "degenerate": interval.degenerate,
        "reason": interval.reason,
    }


def comparison_as_data(comparison: Any) -> dict[str, Any]:
    """Return a :class:`mritk.evaluate.comparison.Comparison` as JSON-able data."""
    return {
        "first": comparison.first,
        "second": comparison.second,
        "difference": _number(comparison.difference),
        "interval": interval_as_data(comparison.interval),
        "p": _number(comparison.p),
        "p_adjusted": _number(comparison.p_adjusted),
        "verdict": comparison.verdict.value,
        "runs": comparison.runs,
        "tested": comparison.tested,
        "reason": comparison.reason,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
