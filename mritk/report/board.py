"""The tables of a page: scores, and costs, to be sorted and filtered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mritk.evaluate.metric import Metric
from mritk.results.columns import cell_text, interval_text
from mritk.results.cost import COLUMNS, CostColumn
from mritk.results.table import Cell, Row, Table
from mritk.text.numbers import decimals


@dataclass(frozen=True)
class Shown:
    """A cell of a page, with small print below it; an empty ``value`` sorts last."""

    text: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Board:
    """A table of a page, one line per row of the leaderboard.

    Attributes:
        sorted_by: Number of the column that sorts, from 0.
        falling: Whether its greatest value stands at the top.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Shown]]
    sorted_by: int
    falling: bool


def scores(table: Table) -> Board:
    """Return the scores of a leaderboard, each with its interval, without costs."""
    first, *others = table.metrics
    columns = _names(table)
    if len([row for row in table.rows if row.tie]) > 1:
        columns.append(("tie", lambda row: Shown(row.tie or "–", row.tie)))
    sorted_by = len(columns)
    columns.append(_metric(first))
    if any(row.trials > 1 for row in table.rows):
        columns.append(("SD", lambda row: _decimals(row.cells[first.name].spread)))
    if any(row.clean_cells for row in table.rows):
        heading = f"clean ({table.clean_samples}) {first.arrow}"
        columns.append((heading, lambda row: _score(row.clean_cells.get(first.name), row.marks)))
    columns += [_metric(metric) for metric in others]
    columns.append(("trials", _trials))
    return _board(table, columns, sorted_by)


def costs(table: Table) -> Board | None:
    """Return the costs of the rows beside their scores; None if no row tells any."""
    told = [c for c in COLUMNS if any(c.name in row.cost for row in table.rows)]
    if not told:
        return None
    first = table.metrics[0]
    columns = [*_names(table), _metric(first)]
    sorted_by = len(columns) - 1
    columns += [(f"{c.label} {c.arrow}", partial(_cost, column=c)) for c in told]
    return _board(table, columns, sorted_by)


def _board(
    table: Table, columns: Sequence[tuple[str, Callable[[Row], Shown]]], sorted_by: int
) -> Board:
    rows = [[cell(row) for _, cell in columns] for row in table.rows]
    falling = table.metrics[0].higher_is_better is not False
    return Board([heading for heading, _ in columns], rows, sorted_by, falling)


def _names(table: Table) -> list[tuple[str, Callable[[Row], Shown]]]:
    """Return what the rows of a table are called: backbone, and what else they differ in."""
    if table.one_protocol:
        return [("backbone", lambda row: Shown(row.name, row.name))]
    augmented = len({row.keys["augmentation"] for row in table.rows}) > 1
    keys = ["backbone", *(["augmentation"] if augmented else []), "protocol"]
    return [(key, partial(_key, key=key)) for key in keys]


def _key(row: Row, key: str) -> Shown:
    return Shown(row.keys[key], row.keys[key])


def _metric(metric: Metric) -> tuple[str, Callable[[Row], Shown]]:
    heading = f"{metric.label} {metric.arrow}".strip()
    return heading, lambda row: _score(row.cells[metric.name], row.marks)


def _score(cell: Cell | None, marks: str) -> Shown:
    value = math.nan if cell is None else cell.mean
    detail = interval_text(cell.ends) if cell and cell.defined and cell.ends else ""
    return Shown(cell_text(cell, marks, interval=False), _sorts(value), detail)


def _cost(row: Row, column: CostColumn) -> Shown:
    value = row.cost.get(column.name, math.nan)
    return Shown(column.text(value), _sorts(value))


def _decimals(value: float) -> Shown:
    return Shown(decimals(value), _sorts(value))


def _trials(row: Row) -> Shown:
    failed = f"{row.failed} failed" if row.failed else ""
    return Shown(str(row.trials), str(row.trials), failed)


def _sorts(value: float) -> str:
    return "" if math.isnan(value) else repr(value)
