"""Matrix of the differences between all pairs of rows."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from mritk.evaluate.comparison import Verdict
from mritk.evaluate.metric import Metric
from mritk.report.canvas import STYLE, panels
from mritk.results.table import Table


def differences(table: Table, metric: Metric) -> Figure:
    """Draw row minus column; bold and framed where the data tell them apart."""
    names = [row.name for row in table.rows if row.cells[metric.name].defined]
    at = {name: number for number, name in enumerate(names)}
    values = np.full((len(names), len(names)), math.nan)
    decided = np.zeros(values.shape, dtype=bool)
    for pair in table.comparisons.get(metric.name, ()):
        if pair.first in at and pair.second in at:
            i, j = at[pair.first], at[pair.second]
            values[i, j], values[j, i] = pair.difference, -pair.difference
            decided[i, j] = decided[j, i] = pair.verdict is not Verdict.CANNOT_TELL
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    side = 1.8 + 0.62 * len(names)
    with rc_context(STYLE):
        figure, (axes,) = panels(1, width=side + 0.8, height=side)
        axes.imshow(values, cmap="PuOr", vmin=-largest, vmax=largest)
        for i, j in np.argwhere(np.isfinite(values)):
            dark = abs(values[i, j]) > 0.6 * largest
            axes.text(
                *(j, i, f"{values[i, j]:+.2f}"),
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontweight="bold" if decided[i, j] else "normal",
                bbox={"fill": False, "edgecolor": "white" if dark else "black", "pad": 1.5}
                if decided[i, j]
                else None,
            )
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel(f"row minus column, {metric.label}")
        axes.spines[:].set_visible(False)
    return figure
