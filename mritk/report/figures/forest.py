"""Forest plot: each row's score with its interval, best at the top."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mritk.errors import UsageError
from mritk.evaluate.metric import Metric
from mritk.report.chance import chance_of
from mritk.report.style import (
    COLOURS,
    INK,
    axis_label,
    legend_below,
    panels,
    short,
    styled,
    width_of,
)
from mritk.results.columns import cell_text
from mritk.results.table import Row, Table

# How far from the scores, in units of their range, blind guessing may lie to be drawn to scale.
NEAR = 1.5
NUMBERS, CHARACTER = 8, 5.4  # points: how far numbers are from the axes; what a character takes
MEAN = "mean [95 % interval]"
SHARED = "Rows that share a letter (tie) do not differ significantly."


def forest(table: Table, metric: Metric) -> Figure:
    """Draw scores and intervals of all rows; numbers and letters of ties stand at the right.

    Raises:
        UsageError: No row has a score.
    """
    rows = [row for row in table.rows if row.cells[metric.name].defined]
    if not rows:
        raise UsageError(f"{metric.label} is undefined for all rows, so there is no plot")
    tied = metric is table.metrics[0] and len([row for row in rows if row.tie]) > 1
    with styled():
        width, height = 5.6 + width_of(row.name for row in rows), 1.1 + 0.28 * max(2, len(rows))
        figure, (axes,) = panels(1, width=width, height=height)
        told = [cell_text(row.cells[metric.name], row.marks) for row in rows]
        letters = NUMBERS + CHARACTER * max(map(len, [*told, MEAN]))
        kinds = {"mean": Line2D([], [], color=COLOURS[0], marker="o", ls="", ms=5)}
        for at, row in enumerate(rows):
            kinds |= _row(axes, at, row, metric)
            _beside(axes, at, told[at], NUMBERS)
            if tied:
                _beside(axes, at, row.tie or "–", letters)
        with_intervals = "95 % interval" in kinds
        _beside(axes, -0.85, MEAN if with_intervals else "mean", NUMBERS)
        if tied:
            _beside(axes, -0.85, "tie", letters)
        axes.set_yticks(range(len(rows)), [short(row.name) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(axis_label(metric))
        axes.grid(axis="x")
        kinds |= _chance(axes, table, metric)
        legend_below(figure, kinds, note=SHARED if tied else "")
    return figure


def _row(axes: Axes, at: int, row: Row, metric: Metric) -> dict[str, Line2D]:
    """Draw one row; return the kinds of its marks by what they mean."""
    cell, kinds = row.cells[metric.name], {}
    if cell.ends:
        (kinds["95 % interval"],) = axes.plot(
            [cell.ends.low, cell.ends.high], [at, at], color=COLOURS[0], lw=2
        )
    if len(cell.values) > 1:
        (kinds["single trials"],) = axes.plot(
            cell.values, [at] * len(cell.values), "|", color=INK, ms=6, alpha=0.6
        )
    axes.plot([cell.mean], [at], "o", color=COLOURS[0], ms=5)
    return kinds


def _chance(axes: Axes, table: Table, metric: Metric) -> dict[str, Line2D]:
    """Draw what blind guessing scores; far from all scores it is told at the end of the axis."""
    found = chance_of(table, metric)
    if found is None:
        return {}
    value, word = found
    low, high = axes.get_xlim()
    room = NEAR * (high - low)
    if low - room <= value <= high + room:
        line = axes.axvline(value, color=INK, lw=1, ls=(0, (1, 2)))
        return {f"{word}: {value:.3g}": line}
    left = value < low
    axes.annotate(
        f"← {word}: {value:.3g}" if left else f"{word}: {value:.3g} →",
        (0.0 if left else 1.0, 0.0),
        xycoords="axes fraction",
        xytext=(3 if left else -3, 3),
        textcoords="offset points",
        ha="left" if left else "right",
        fontsize=8,
        color=INK,
    )
    return {}


def _beside(axes: Axes, at: float, text: str, right: float) -> None:
    axes.annotate(
        text,
        (1.0, at),
        xycoords=("axes fraction", "data"),
        xytext=(right, 0),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
    )
