"""Write a leaderboard as text: github, plain, latex, csv, html or json."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mritk.results.leaderboard import Cell, Leaderboard, Row, Table

TABULATE = {"github": "github", "plain": "simple", "latex": "latex_booktabs", "html": "html"}
FORMATS = (*TABULATE, "csv", "json")
LATEX = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "–": "--", "²": "$^2$"}
LATEX |= {"†": r"$^\dagger$", "‡": r"$^\ddagger$"}
SCHEMES = {
    "official": "official split",
    "holdout": "hold-out split",
    "kfold": "{parts}-fold cross-validation",
    "site": "leave one site out, {parts} sites",
}


def format_leaderboard(board: Leaderboard, style: str) -> str:
    """Return the leaderboard in one of :data:`FORMATS`."""
    if style == "json":
        return json.dumps(as_data(board), indent=2)
    if style == "csv":
        return _csv(board)
    blocks = [_block(table, style) for table in board.tables]
    notes = [f"Other conditions: {line}" for line in board.drift]
    notes += [f"Not read: {line}" for line in board.damaged]
    if notes:
        blocks.append(_sentences(notes, style))
    return "\n\n".join(blocks)


def caption(table: Table) -> str:
    """Return one line that says what all rows of a table share.

    The digits behind dataset and protocol are the beginnings of their fingerprints.
    """
    keys = table.keys
    repeats, shots = table.split.get("repeats", 1), table.split.get("shots", 0)
    parts_drawn = table.folds // max(1, repeats)
    scheme = SCHEMES.get(keys["scheme"], keys["scheme"]).format(parts=parts_drawn)
    scheme += f", {repeats} repeats" if repeats > 1 else ""
    scheme += f", {shots} shots per class" if shots else ""
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


def _block(table: Table, style: str) -> str:
    from tabulate import tabulate

    several = len({row.keys["augmentation"] for row in table.rows}) > 1
    headings = ["backbone", *(["augmentation"] if several else [])]
    headings += [f"{metric.label} {metric.arrow}" for metric in table.metrics] + ["trials"]
    first = table.metrics[0]
    both = any(row.clean_cells for row in table.rows)
    if both:  # the first metric, which sorts, is shown on both sets of samples
        all_at = headings.index(f"{first.label} {first.arrow}")
        headings[all_at] = f"{first.label} ({table.test_samples}) {first.arrow}"
        headings.insert(all_at + 1, f"clean ({table.clean_samples}) {first.arrow}")
    rows = [
        [
            _name(row.keys["backbone"], style),
            *([_name(row.keys["augmentation"], style)] if several else []),
            _cell(row.cells[first.name], row.marks),
            *([_cell(row.clean_cells.get(first.name), row.marks)] if both else []),
            *[_cell(row.cells[metric.name], row.marks) for metric in table.metrics[1:]],
            _trials(row),
        ]
        for row in table.rows
    ]
    body = tabulate(rows, headings, tablefmt=TABULATE[style], disable_numparse=True)
    if style == "latex":
        # Characters outside ASCII are not every LaTeX installation's.
        for sign, command in LATEX.items():
            body = body.replace(sign, command)
    return f"{_sentences([caption(table)], style)}\n\n{body}\n\n{_sentences(table.notes, style)}"


def _name(name: str, style: str) -> str:
    return name.replace("|", r"\|") if style == "github" else name


def _sentences(lines: Sequence[str], style: str) -> str:
    lines = [" ".join(line.split()) for line in lines]
    if style == "latex":
        return "\n".join(f"% {line}" for line in lines)
    if style == "html":
        return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)
    if style == "github":
        return "  \n".join(lines)
    return "\n".join(lines)


def _cell(cell: Cell | None, marks: str) -> str:
    if cell is None or not cell.values:
        return "–"
    if math.isnan(cell.mean):
        return f"nan{marks}"
    spread = "" if math.isnan(cell.spread) else f" ± {cell.spread:.3f}"
    return f"{cell.mean:.3f}{marks}{spread}"


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
                "test_samples": table.test_samples,
                "clean_test_samples": table.clean_samples,
                "patients": table.patients or None,
                "notes": table.notes,
                "rows": [_row_as_data(row) for row in table.rows],
            }
            for table in board.tables
        ],
        "differing_protocol_fields": list(board.drift),
        "not_read": list(board.damaged),
    }


def _row_as_data(row: Row) -> dict[str, Any]:
    return {
        **row.keys,
        "trials": row.trials,
        "failed": row.failed,
        "seeds": list(row.seeds),
        "folds": list(row.folds),
        "marks": row.marks,
        "metrics": _cells_as_data(row.cells),
        "clean_metrics": _cells_as_data(row.clean_cells),
    }


def _cells_as_data(cells: Mapping[str, Cell]) -> dict[str, Any]:
    return {
        name: {
            "mean": _number(cell.mean),
            "sd": _number(cell.spread),
            "values": [_number(value) for value in cell.values],
        }
        for name, cell in cells.items()
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _csv(board: Leaderboard) -> str:
    metrics = list(dict.fromkeys(m.name for table in board.tables for m in table.metrics))
    shared = list(dict.fromkeys(key for table in board.tables for key in table.keys))
    counts = ["test_samples", "clean_test_samples", "trials", "failed"]
    columns = list(dict.fromkeys([*shared, "backbone", "augmentation", *counts]))
    columns += [f"{name}_{what}" for name in metrics for what in ("mean", "sd")]
    columns += ["marks", *(f"{name}_clean_mean" for name in metrics)]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for table in board.tables:
        for row in table.rows:
            numbers = {}
            for name, cell in row.cells.items():
                numbers[f"{name}_mean"], numbers[f"{name}_sd"] = cell.mean, cell.spread
            for name, cell in row.clean_cells.items():
                numbers[f"{name}_clean_mean"] = cell.mean
            told = {
                "test_samples": table.test_samples,
                "clean_test_samples": table.clean_samples,
                "trials": row.trials,
                "failed": row.failed,
                "marks": row.marks,
            }
            writer.writerow({**table.keys, **row.keys, **told, **numbers})
    return out.getvalue().rstrip("\n")
