"""The scores of groups as text and as data."""

from __future__ import annotations

from typing import Any

from mritk.results.columns import conservative_note, interval_text, name_text
from mritk.results.group_table import LEAST_OF_GROUP, OVER_FOLDS, GroupCell, GroupTable
from mritk.results.interval_data import interval_as_data
from mritk.text.numbers import decimals, or_null
from mritk.text.text_table import Column

# What goes first where a terminal has no room.
KEEP_GROUP, KEEP_ROW = 100.0, 1000.0


def group_columns(table: GroupTable, style: str) -> list[Column]:
    """Return the columns of a table by group, from the left; ``github`` escapes names."""
    rows = table.rows
    columns = [Column("row", [name_text(row.name, style) for row in rows], KEEP_ROW)]
    columns += [
        Column(
            f"{name_text(group, style)} (n={n})",
            [_text(row.scores[group], style) for row in rows],
            KEEP_GROUP - number,
        )
        for number, (group, n) in enumerate(table.units.items())
    ]
    columns.append(Column("worst group", [_text(row.worst, style) for row in rows], KEEP_ROW))
    columns.append(Column("gap", [_text(row.gap, style) for row in rows], KEEP_ROW))
    return columns


def _text(cell: GroupCell, style: str) -> str:
    text = decimals(cell.value)
    if cell.interval is not None and not cell.interval.reason:
        text = f"{text} {interval_text(cell.interval)}"
    return f"{text} {name_text(cell.group, style)}".rstrip()


def group_title(table: GroupTable) -> str:
    """Return what the table shows."""
    metric = table.metric
    return f"By {table.covariate.called}: {metric.label} {metric.arrow}".rstrip()


def group_notes(table: GroupTable) -> list[str]:
    """Return what stands below it."""
    notes = [f"n: number of {table.unit}."] if table.units else []
    notes += [OVER_FOLDS] if table.over_folds else []
    notes += [f"{group}: {text}." for group, text in table.over.items()]
    sure = any(row.gap.interval and not row.gap.interval.reason for row in table.rows)
    if len(table.units) > 1:
        gap = "Gap: best minus worst group."
        if sure:
            gap += (
                " Its interval and that of the worst group allow for the fact that both were "
                f"selected; they assume that groups share no {table.unit}."
            )
        notes.append(gap)
    if table.shared and sure:
        several = f"{table.unit.removesuffix('s')} is" if table.shared == 1 else f"{table.unit} are"
        notes.append(f"{table.shared} {several} in several groups, so these intervals are rough.")
    if table.small:
        names = ", ".join(f"{name} ({n})" for name, n in table.small.items())
        notes.append(
            f"Not shown, with fewer than {LEAST_OF_GROUP} {table.unit} or of unknown group: "
            f"{names}."
        )
    found = [part for row in table.rows for part in row.scores.items()]
    found += [("worst group and gap", row.gap) for row in table.rows]
    intervals = [(of, cell.interval) for of, cell in found if cell.interval is not None]
    notes += conservative_note(interval for _, interval in intervals)
    reasons = dict.fromkeys((of, interval.reason) for of, interval in intervals if interval.reason)
    notes += [f"{group}: {reason}." for group, reason in reasons]
    return notes


def groups_as_data(table: GroupTable) -> dict[str, Any]:
    """Return a table by group as JSON-able data; undefined numbers are null."""
    return {
        "covariate": table.covariate.called,
        "edges": list(table.covariate.edges),
        "metric": table.metric.name,
        "patients": dict(table.units),
        "not_shown": dict(table.small),
        "notes": group_notes(table),
        "rows": [
            {
                "name": row.name,
                "groups": {group: _cell_as_data(cell) for group, cell in row.scores.items()},
                "worst": _cell_as_data(row.worst),
                "gap": _cell_as_data(row.gap),
            }
            for row in table.rows
        ],
    }


def _cell_as_data(cell: GroupCell) -> dict[str, Any]:
    told: dict[str, Any] = {"value": or_null(cell.value)}
    if cell.group:
        told["group"] = cell.group
    if cell.interval is not None:
        told["interval"] = interval_as_data(cell.interval)
    return told
