"""Cost against score; rows that no other beats in both are joined."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from mritk.errors import UsageError
from mritk.evaluate.metric import Metric
from mritk.report.labels import label_points
from mritk.report.style import COLOURS, INK, axis_label, legend_below, panels, short, styled
from mritk.results.cost import COLUMNS, CostColumn
from mritk.results.table import Table

FRONT = "Pareto front: no other row is both cheaper and better"


def column_of(table: Table) -> CostColumn:
    """Return the column to draw: the first that at least two rows tell.

    Raises:
        UsageError: No two rows tell any.
    """
    for column in COLUMNS:
        if sum(column.name in row.cost for row in table.rows) > 1:
            return column
    raise UsageError("fewer than two rows have a cost, so there is no plot")


def cost(table: Table, metric: Metric) -> Figure:
    """Draw each row's score over its cost, on a logarithmic scale where costs span decades.

    Raises:
        UsageError: No two rows tell their cost, or none of them has a score.
    """
    column = column_of(table)
    points = [
        (row.cost[column.name], row.cells[metric.name].mean, row)
        for row in table.rows
        if column.name in row.cost and row.cells[metric.name].defined
    ]
    if not points:
        raise UsageError(
            f"{metric.label} is undefined for all rows with a cost, so there is no plot"
        )
    with styled():
        figure, (axes,) = panels(1, width=7.0, height=4.2)
        front = _front([(x, y) for x, y, _ in points], column, metric)
        (line,) = axes.plot(*zip(*front, strict=True), color=INK, lw=1, ls="--", zorder=1)
        kinds = {FRONT: line}
        spans = []
        for x, y, row in points:
            if interval := row.cells[metric.name].ends:
                spans.append((x, interval.low, interval.high))
                (kinds["95 % interval"],) = axes.plot(
                    [x, x], [interval.low, interval.high], color=COLOURS[0], lw=1, alpha=0.6
                )
            (kinds["mean"],) = axes.plot([x], [y], "o", color=COLOURS[0], ms=5)
        costs = [x for x, *_ in points]
        if min(costs) > 0 and max(costs) > 10 * min(costs):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel(f"{column.label} {column.arrow} ({_better(column)} is better)")
        axes.set_ylabel(axis_label(metric))
        axes.margins(x=0.12)
        axes.grid()
        legend_below(figure, kinds)
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
        label_points(axes, [(x, y, short(row.name)) for x, y, row in points], spans)
    return figure


def _better(column: CostColumn) -> str:
    return "more" if column.higher_is_better else "less"


def _front(
    points: list[tuple[float, float]], column: CostColumn, metric: Metric
) -> list[tuple[float, float]]:
    """Return the points that no other beats in both, from the cheapest on."""
    up, cheap = (1 if metric.higher_is_better else -1), (-1 if column.higher_is_better else 1)
    best, front = -math.inf, []
    for x, y in sorted(points, key=lambda point: (cheap * point[0], -up * point[1])):
        if up * y > best:
            best = up * y
            front.append((x, y))
    return front
