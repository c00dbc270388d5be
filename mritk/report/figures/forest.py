"""Forest plot: each row's score with its interval, best at the top."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.figure import Figure

from mritk.evaluate.metric import Metric
from mritk.report.canvas import COLOURS, INK, STYLE, panels
from mritk.results.table import Table


def forest(table: Table, metric: Metric) -> Figure:
    """Draw scores and intervals of all rows; letters of tie groups stand at the right."""
    rows = [row for row in table.rows if row.cells[metric.name].defined]
    with rc_context(STYLE):
        figure, (axes,) = panels(1, width=6.4, height=0.7 + 0.28 * max(2, len(rows)))
        for at, row in enumerate(rows):
            cell = row.cells[metric.name]
            interval = cell.interval
            if interval is not None and not interval.reason:
                axes.plot([interval.low, interval.high], [at, at], color=COLOURS[0], lw=2)
            if len(cell.values) > 1:
                axes.plot(cell.values, [at] * len(cell.values), "|", color=INK, ms=5, alpha=0.6)
            axes.plot([cell.mean], [at], "o", color=COLOURS[0], ms=5)
            if row.tie and metric is table.metrics[0]:
                axes.annotate(row.tie, (1.01, at), xycoords=("axes fraction", "data"), va="center")
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(f"{metric.label} {metric.arrow}".strip())
        axes.grid(axis="x")
    return figure
