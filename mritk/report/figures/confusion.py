"""Confusion matrices: what each class is taken for."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mritk.errors import UsageError
from mritk.evaluate.per_class import confusion as confusion_of
from mritk.report.scored import drawn_rows, rows_note
from mritk.report.style import legend_below, panels, short, styled, title_of, width_of
from mritk.results.table import Table

MOST, COLUMNS = 6, 3
BAR = 0.8  # inches that the colour bar takes


def confusion(table: Table) -> Figure:
    """Draw one matrix for each of the first rows: shares of the true class, counts of all trials.

    Raises:
        UsageError: The task has no classes, or no row has predictions to draw.
    """
    if not table.task.classes:
        raise UsageError(f"{table.task.kind} has no confusion matrix")
    names, rows = [short(name) for name in table.task.classes], drawn_rows(table)
    side, names_take = 0.8 + 0.42 * len(names), width_of(names)
    with styled():
        shown = rows[:MOST]
        figure, axes = panels(
            len(shown), columns=COLUMNS, width=side + 0.4, height=side + 0.7 * names_take
        )
        width, height = figure.get_size_inches()
        figure.set_size_inches(width + names_take + BAR, height)
        for number, (panel, (row, trials)) in enumerate(zip(axes, shown, strict=True)):
            counts = np.sum([confusion_of(t.target, t.score) for t in trials], axis=0)
            image = _matrix(panel, counts)
            first = number % COLUMNS == 0
            panel.set(title=title_of(row.name), xlabel="predicted")
            panel.set_xticks(
                *(range(len(names)), names), rotation=40, ha="right", rotation_mode="anchor"
            )
            panel.set_yticks(range(len(names)), names if first else [])
            panel.tick_params(labelsize=7)
            if first:
                panel.set_ylabel("true")
        if shown:
            bar = figure.colorbar(image, ax=list(axes), shrink=0.7, pad=0.02, format="{x:.0%}")
            bar.set_label("proportion of the true class")
            bar.outline.set_visible(False)
        legend_below(figure, {}, note=rows_note(table, rows, len(shown)))
    return figure


def _matrix(panel: Axes, counts: np.ndarray) -> AxesImage:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*counts.shape):
        ink = "white" if shares[i, j] > 0.5 else "black"
        text = f"{shares[i, j]:.0%}\n{counts[i, j]}"
        panel.text(j, i, text, ha="center", va="center", color=ink, fontsize=7)
    panel.spines[:].set_visible(False)
    return image
