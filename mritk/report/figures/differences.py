"""Matrix of the differences between all pairs of rows."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mritk.errors import UsageError
from mritk.evaluate.comparison import Verdict
from mritk.evaluate.metric import Metric
from mritk.report.style import legend_below, panels, short, styled, width_of
from mritk.results.table import Table

FRAMED = "Framed: significant at 5 % (Holm)."
UNTESTED = "In brackets: not tested."


def differences(table: Table, metric: Metric) -> Figure:
    """Draw row minus column; framed where significant, in brackets where nothing was tested.

    Raises:
        UsageError: Fewer than two rows have a score, or no difference is known.
    """
    names = [row.name for row in table.rows if row.cells[metric.name].defined]
    if len(names) < 2:
        raise UsageError(f"{metric.label} is defined for fewer than two rows, so there is no plot")
    at = {name: number for number, name in enumerate(names)}
    values = np.full((len(names), len(names)), math.nan)
    decided, tested = np.zeros(values.shape, dtype=bool), np.ones(values.shape, dtype=bool)
    for pair in table.comparisons.get(metric.name, ()):
        if pair.first in at and pair.second in at:
            i, j = at[pair.first], at[pair.second]
            values[i, j], values[j, i] = pair.difference, -pair.difference
            decided[i, j] = decided[j, i] = pair.verdict is not Verdict.CANNOT_TELL
            tested[i, j] = tested[j, i] = pair.tested
    if not np.isfinite(values).any():
        raise UsageError(f"there are no differences in {metric.label} to draw")
    largest = float(np.nanmax(np.abs(values)))
    side, names_take = 1.8 + 0.62 * len(names), width_of(names)
    with styled():
        figure, (axes,) = panels(1, width=side + names_take, height=side - 1 + names_take)
        scale = largest or 1.0
        image = axes.imshow(values, cmap="PuOr", vmin=-scale, vmax=scale)
        for i, j in np.argwhere(np.isfinite(values)):
            text = signed(values[i, j])
            text = text if tested[i, j] else f"({text})"
            _write(axes, (j, i), text, framed=decided[i, j], dark=abs(values[i, j]) > 0.6 * scale)
        told = [short(name) for name in names]
        axes.set_xticks(range(len(told)), told, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(told)), told)
        axes.set(xlabel="column", ylabel="row")
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
        bar.set_label(f"difference in\n{metric.label}:\nrow − column")
        bar.outline.set_visible(False)
        words = {FRAMED: decided.any(), UNTESTED: not tested.all()}
        legend_below(figure, {}, note=" ".join(text for text, so in words.items() if so))
    return figure


def signed(value: float) -> str:
    """Return a difference with its sign, which nothing that rounds to zero has."""
    text = f"{value:+.2f}".replace("-", "−")
    return text if text.strip("+−0.") else "0.00"


def _write(axes: Axes, place: tuple[float, float], text: str, *, framed: bool, dark: bool) -> None:
    ink = "white" if dark else "black"
    box = {"fill": False, "edgecolor": ink, "pad": 1.5} if framed else None
    weight = "bold" if framed else "normal"
    axes.text(*place, text, ha="center", va="center", color=ink, fontweight=weight, bbox=box)
