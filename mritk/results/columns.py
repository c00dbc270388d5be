"""Which columns a leaderboard shows, and what stands in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mritk.errors import UsageError
from mritk.evaluate.interval import Interval
from mritk.results.cost import COLUMNS
from mritk.results.table import Cell, Row, Table
from mritk.text.markdown import escape
from mritk.text.numbers import decimals
from mritk.text.text_table import Column

EXTRA_COLUMNS = ("intervals", "sd", "trials", "method", *(column.name for column in COLUMNS))
USUAL_COLUMNS = ("sd", "parameters", "trials")
SD = "SD"
# What one recipe costs more than another: whatever of these the trials tell.
COSTS_OF_RECIPES = ("trained", "hours", "gpu_hours", "memory")
CONSERVATIVE = "°"  # behind an interval that may cover more than 95 %
# What has the least goes first where a terminal has no room: counts that are all alike, metrics
# from the right, costs from the right; what says how sure a score is goes last.
KEEP_METRIC, KEEP_COST, KEEP_TRIALS, KEEP_SD, KEEP_CLEAN, KEEP_TIE = 100, 200, 300, 400, 500, 600


def require_columns(names: Sequence[str]) -> None:
    """Refuse a column that does not exist.

    Raises:
        UsageError: There is none of that name.
    """
    for name in names:
        if name not in EXTRA_COLUMNS:
            raise UsageError(
                f"no column {name!r}; available: {', '.join(EXTRA_COLUMNS)} (metrics are selected "
                "with --metric)"
            )


def columns_of(table: Table, wanted: Sequence[str] | None, style: str) -> list[Column]:
    """Return the columns of a table, from the left; the style ``github`` escapes names.

    ``wanted``, of :data:`EXTRA_COLUMNS`, stand beside the metrics; None: the usual ones.
    """
    first, *others = table.metrics
    if wanted is None:
        wanted = USUAL_COLUMNS if table.one_protocol else (*USUAL_COLUMNS, *COSTS_OF_RECIPES)
    rows, shown = table.rows, list[Column]()

    def add(heading: str, cells: Sequence[str], keep: float, *, right: bool = False) -> None:
        shown.append(Column(heading.rstrip(), cells, keep, right))

    def names(key: str) -> list[str]:
        return [name_text(row.keys[key], style) for row in rows]

    add("backbone", names("backbone"), math.inf)
    if len({row.keys["augmentation"] for row in rows}) > 1:
        add("augmentation", names("augmentation"), math.inf)
    if not table.one_protocol:
        add("protocol", names("protocol"), math.inf)
    if "method" in wanted:
        add("method", names("method"), KEEP_TIE)
    if len([row for row in rows if row.tie]) > 1:
        add("tie", [row.tie or "–" for row in rows], KEEP_TIE)
    heading, are_clean = first.label, any(row.clean_cells for row in rows)
    if are_clean:  # the metric that sorts, on both sets
        heading = f"{first.label} ({table.test_samples})"
    sorting = [cell_text(row.cells[first.name], row.marks) for row in rows]
    add(f"{heading} {first.arrow}", sorting, math.inf)
    if "sd" in wanted and any(row.trials > 1 for row in rows):
        add(SD, [decimals(row.cells[first.name].spread) for row in rows], KEEP_SD)
    if are_clean:
        clean = [cell_text(row.clean_cells.get(first.name), row.marks) for row in rows]
        add(f"clean ({table.clean_samples}) {first.arrow}", clean, KEEP_CLEAN)
    every = "intervals" in wanted
    for number, metric in enumerate(others):
        cells = [cell_text(row.cells[metric.name], row.marks, interval=every) for row in rows]
        add(f"{metric.label} {metric.arrow}", cells, KEEP_METRIC - number)
    for number, column in enumerate(COLUMNS):
        if column.name in wanted and any(column.name in row.cost for row in rows):
            costs = [column.text(row.cost.get(column.name, math.nan)) for row in rows]
            add(f"{column.label} {column.arrow}", costs, KEEP_COST - number, right=True)
    if "trials" in wanted:
        trials = [_trials(row) for row in rows]
        add("trials", trials, KEEP_TRIALS if len(set(trials)) > 1 else 0, right=True)
    return shown


def name_text(text: str, style: str) -> str:
    """Return a name, or a line of names, that Markdown takes for nothing but text."""
    return escape(text) if style == "github" else " ".join(text.split())


def cell_text(cell: Cell | None, marks: str, *, interval: bool = True) -> str:
    """Return a cell as tables show it: the mean, signs, and the interval in brackets."""
    if cell is None or not cell.values:
        return "–"
    if cell.withheld:
        return f"– ({cell.withheld})"
    if not cell.defined:
        return f"nan{marks}"
    ends = f" {interval_text(cell.ends)}" if interval and cell.ends else ""
    return f"{cell.mean:.3f}{marks}{ends}"


def interval_text(interval: Interval) -> str:
    """Return an interval as ``[low, high]``, and its sign."""
    sign = CONSERVATIVE if interval.conservative else ""
    return f"[{interval.low:.3f}, {interval.high:.3f}]{sign}"


def conservative_note(intervals: Iterable[Interval | None]) -> list[str]:
    """Return the sentence that explains the sign of intervals, if any has it."""
    reasons = sorted({one.conservative for one in intervals if one is not None} - {""})
    if not reasons:
        return []
    return [
        f"{CONSERVATIVE} Conservative interval, may cover more than 95 %: {' or '.join(reasons)}."
    ]


def _trials(row: Row) -> str:
    return f"{row.trials} ({row.failed} failed)" if row.failed else str(row.trials)
