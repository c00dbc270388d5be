"""Names of rows in figures: without what all rows share, if they would be too long otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from mritk.report.style import LONGEST
from mritk.results.table import Row, Table

BETWEEN = " +,"  # what divides the parts of a name
BEHIND = (" ", ",")  # how that begins


def labelled(table: Table) -> tuple[Table, str]:
    """Return a table whose rows have short names, and what was left out of each of them.

    Nothing is left out if all names fit a figure, or if the trained rows share no whole part. An
    ensemble of several rows does not share it, and has the name of its kind.
    """
    shared = _shared([row.name for row in table.rows if not row.derived])
    label = {row.name: _label(row, shared) for row in table.rows}
    fits = all(len(name) <= LONGEST for name in label)
    if fits or not shared or len(set(label.values()) - {""}) < len(label):
        return table, ""
    return _renamed(table, label), shared


def _label(row: Row, shared: str) -> str:
    if row.name.startswith(shared):
        return row.name[len(shared) :].lstrip(BETWEEN)
    return row.keys["backbone"]


def _shared(names: Sequence[str]) -> str:
    """Return the longest part that all names begin with; empty without names."""
    if not names:
        return ""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    start = "".join(one for one, _ in pairs)
    while start and not all(name[len(start) :].startswith(BEHIND) for name in names):
        start = start[:-1]
    return start.rstrip(BETWEEN)


def _renamed(table: Table, label: Mapping[str, str]) -> Table:
    return replace(
        table,
        rows=[replace(row, name=label[row.name]) for row in table.rows],
        records={label[name]: records for name, records in table.records.items()},
        comparisons={
            metric: [replace(c, first=label[c.first], second=label[c.second]) for c in pairs]
            for metric, pairs in table.comparisons.items()
        },
    )
