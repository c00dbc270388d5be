"""Write a leaderboard as text: github, plain, latex, csv, html, json; or as Parquet."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mritk.evaluate.paired_runs import POOLED
from mritk.results.clean_support import ALL, LEAST_UNITS
from mritk.results.columns import SD, columns_of, name_text
from mritk.results.cost import COLUMNS
from mritk.results.footnotes import footnotes
from mritk.results.group_text import group_columns, group_notes, group_title, groups_as_data
from mritk.results.interval_data import interval_as_data
from mritk.results.table import Cell, Leaderboard, Row, Table
from mritk.results.tabular_export import csv_text
from mritk.text.latex import PACKAGES, latex_table
from mritk.text.listed import many
from mritk.text.numbers import or_null
from mritk.text.text_table import Column, filled, fitted, text_table

FORMATS = ("github", "plain", "latex", "html", "csv", "json")
BREAK = "  "  # ends a line in Markdown
# In sentences, which hold names: what begins a tag or a comment, and what ends a link's text.
MARKUP = re.compile(r"<(?=[A-Za-z/!?])|(?<=\])\(")
SCHEMES = {
    "official": "official split",
    "holdout": "hold-out split",
    "kfold": "{parts}-fold cross-validation",
    "site": "leave-one-site-out, {parts} sites",
}

# Where a covariate is divided, in its name: a heading names the band.
EDGES = re.compile(r":[^+]*")


def format_leaderboard(
    board: Leaderboard,
    style: str,
    columns: Sequence[str] | None = None,
    width: int | None = None,
) -> str:
    """Return the leaderboard in one of :data:`FORMATS`.

    Args:
        board: The leaderboard.
        style: One of :data:`FORMATS`.
        columns: Which of :data:`EXTRA_COLUMNS` stand beside the metrics, in text formats; None:
            the usual ones.
        width: Of the terminal; what does not fit is left out, and named. None: nothing is.
    """
    if style == "json":
        return json.dumps(as_data(board), indent=2)
    if style == "csv":
        return csv_text(board)
    blocks = [
        _block(table, style, columns, width, label)
        for table, label in zip(board.tables, _labels(board.tables), strict=True)
    ]
    notes = [f"Other conditions: {line}" for line in board.drift]
    notes += [f"Not read: {line}" for line in board.damaged]
    if notes:
        blocks.append(sentences(notes, style, width))
    if style == "latex" and board.tables:
        blocks.insert(0, PACKAGES)
    return "\n\n".join(blocks)


def caption(table: Table) -> str:
    """Return one line that says what all rows of a table share.

    The digits behind dataset and protocol are the beginnings of their fingerprints.
    """
    return " · ".join(_shared(table))


# Keys of a table that its caption tells, or that only tell tables apart.
CAPTIONED = {"dataset", "dataset_fingerprint", "protocol", "fingerprint", "scheme", "evaluation"}
# Varied names of protocols that train on all samples, and read as if there were none.
READS_AS_NONE = ("shots=0", "train_patients=0")


def _shared(table: Table) -> list[str]:
    keys, repeats = table.keys, table.protocol.repeats
    parts_drawn = table.folds // repeats
    scheme = SCHEMES.get(keys["scheme"], keys["scheme"]).format(parts=parts_drawn)
    scheme += f", {repeats} repeats" if repeats > 1 else ""
    scheme += _training_samples(table) if table.one_protocol else ""
    tested = many(table.test_samples, "test sample")
    if table.clean_samples < table.test_samples:
        tested += f" ({table.clean_samples} clean)"
    if table.patients:
        tested += f" of {many(table.patients, 'patient')}"
    protocol = f"protocols {keys['protocol']}"
    if table.one_protocol:
        protocol = f"protocol {keys['protocol']} ({keys['fingerprint'][:8]})"
    parts = [
        f"{keys['dataset']} ({keys['dataset_fingerprint'][:8]})",
        protocol,
        f"{scheme}, {tested}" if table.test_samples else scheme,  # unknown if all trials failed
    ]
    return parts + told_apart(table.keys)


def told_apart(keys: Mapping[str, Any]) -> list[str]:
    """Return what tells a table from others of the same data and protocol: group, seed, …"""
    return [
        f"{EDGES.sub('', name)} {value}" for name, value in keys.items() if name not in CAPTIONED
    ]


def _training_samples(table: Table) -> str:
    if shots := table.protocol.shots:
        return f", {shots} shots per class"
    if limit := table.protocol.train_patients:
        return f", {limit} training patients"
    if any(name in table.keys["protocol"] for name in READS_AS_NONE):
        return ", all training samples"
    return ""


def _labels(tables: Sequence[Table]) -> list[str]:
    """Return what each table is referred to by: dataset and protocol, and a number if need be."""
    names = [f"{table.keys['dataset']} {table.keys['protocol']}" for table in tables]
    earlier = [names[:at].count(name) for at, name in enumerate(names)]
    return [f"{name} {n + 1}" if n else name for name, n in zip(names, earlier, strict=True)]


def _block(
    table: Table, style: str, columns: Sequence[str] | None, width: int | None, label: str
) -> str:
    shown = columns_of(table, columns, style)
    told = footnotes(table, every_interval="intervals" in (columns or ()))
    told += _of_costs(table, shown, columns or ())
    if style == "latex":
        notes = [*told, *_of_columns(shown)]
        tables = [latex_table(shown, f"{'; '.join(_shared(table))}.", notes, label)]
        for groups in table.groups:
            title, of = f"{group_title(groups)}.", f"{label} {groups.covariate.called}"
            tables.append(latex_table(group_columns(groups, style), title, group_notes(groups), of))
        return "\n\n".join(tables)
    parts = [(name_text(caption(table), style), shown, told)]
    parts += [(group_title(g), group_columns(g, style), group_notes(g)) for g in table.groups]
    return "\n\n".join(_with_notes(*part, style, width) for part in parts)


def _with_notes(
    title: str, columns: Sequence[Column], notes: Sequence[str], style: str, width: int | None
) -> str:
    """Return a table below its title and above its notes."""
    dropped: Sequence[Column] = ()
    if style == "html":
        body = _html(columns)
    else:
        columns, dropped = fitted(columns, style, width)
        body = text_table(columns, style)
    notes = [*left_out(dropped, "leaderboard"), *notes, *_of_columns(columns)]
    return "\n\n".join([sentences([title], style, width), body, sentences(notes, style, width)])


def _of_columns(shown: Sequence[Column]) -> list[str]:
    """Return what a reader must know of columns that not every table has."""
    has_sd = any(column.heading == SD for column in shown)
    return ["SD: over trials (seeds and folds)."] if has_sd else []


def _of_costs(table: Table, shown: Sequence[Column], wanted: Sequence[str]) -> list[str]:
    """Return why a time, an energy or a memory is missing."""
    headings = {column.heading for column in shown}
    missing = [
        column.label
        for column in COLUMNS
        if column.whole
        if column.name in wanted or f"{column.label} {column.arrow}" in headings
        if any(column.name not in row.cost for row in table.rows if row.trials)
    ]
    if not missing:
        return []
    return [
        f"{', '.join(missing)}: – where a trial does not tell, as one that was resumed: what it "
        "took before is not known."
    ]


def _html(columns: Sequence[Column]) -> str:
    from tabulate import tabulate

    rows = zip(*(column.cells for column in columns), strict=True)
    headings = [column.heading for column in columns]
    return str(tabulate(rows, headings, tablefmt="html", disable_numparse=True))


def left_out(dropped: Sequence[Column], command: str) -> list[str]:
    """Say which columns were left out to fit the terminal, if any were, and what shows them."""
    if not dropped:
        return []
    names = ", ".join(column.heading.rstrip(" ↑↓") for column in dropped)
    return [f"Columns omitted to fit the terminal: {names} (all: mritk {command} --wide)."]


def sentences(lines: Sequence[str], style: str, width: int | None = None) -> str:
    """Return sentences, which hold names, as lines of a style; names bring no links and no HTML."""
    lines = [" ".join(line.split()) for line in lines]
    if style == "latex":
        return "\n".join(f"% {line}" for line in lines)
    if style == "html":
        return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)
    if style == "github":
        room = None if width is None else width - len(BREAK)
        return f"{BREAK}\n".join(filled(MARKUP.sub(r"\\\g<0>", line), room) for line in lines)
    return "\n".join(filled(line, width) for line in lines)


def as_data(board: Leaderboard) -> dict[str, Any]:
    """Return the leaderboard as JSON-able data; undefined numbers are null."""
    return {
        "tables": [
            {
                **table.keys,
                "task": table.task.kind,
                "sorted_by": table.metrics[0].name,
                "level": table.analysis.level,
                "test_samples": table.test_samples or None,
                "clean_test_samples": table.clean_samples if table.test_samples else None,
                "clean_support": _support_as_data(table),
                "patients": table.patients or None,
                "detectable_difference": or_null(table.detectable),
                "notes": footnotes(table),
                "rows": [_row_as_data(row) for row in table.rows],
                **({"groups": [groups_as_data(g) for g in table.groups]} if table.groups else {}),
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


def _support_as_data(table: Table) -> dict[str, Any]:
    support = table.clean_support
    classes = support.of_classes(table.task).items()
    return {
        "units": support.counts.get(ALL, (0, 0))[1],
        "least_units": LEAST_UNITS,
        "classes": {name: {"samples": n, "units": units} for name, (n, units) in classes},
    }


def _row_as_data(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        **row.keys,
        "ensemble": row.derived,
        "tie": row.tie,
        "ranked": row.ranked,
        "trials": row.trials,
        "failed": row.failed,
        "seeds": _numbers(row.seeds),
        "folds": _numbers(row.folds),
        "ids": list(row.ids),
        "marks": row.marks,
        "metrics": _cells_as_data(row.cells),
        "clean_metrics": _cells_as_data(row.clean_cells),
        "cost": {name: or_null(value) for name, value in row.cost.items()},
    }


def _numbers(of: Sequence[int]) -> list[int]:
    """Return seeds or folds, -1 for what is made of all."""
    return [-1 if number == POOLED else number for number in of]


def _cells_as_data(cells: Mapping[str, Cell]) -> dict[str, Any]:
    return {
        name: {
            "mean": or_null(cell.mean),
            "sd": or_null(cell.spread),
            "values": [or_null(value) for value in cell.values],
            "reason": cell.reason,
            "interval": None if cell.interval is None else interval_as_data(cell.interval),
        }
        for name, cell in cells.items()
    }


def comparison_as_data(comparison: Any) -> dict[str, Any]:
    """Return a :class:`mritk.evaluate.comparison.Comparison` as JSON-able data."""
    return {
        "first": comparison.first,
        "second": comparison.second,
        "difference": or_null(comparison.difference),
        "interval": interval_as_data(comparison.interval),
        "p": or_null(comparison.p),
        "p_adjusted": or_null(comparison.p_adjusted),
        "verdict": comparison.verdict.value,
        "runs": comparison.runs,
        "tested": comparison.tested,
        "reason": comparison.reason,
    }
