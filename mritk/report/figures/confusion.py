"""Confusion matrices: what each class is taken for."""

from __future__ import annotations

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from mritk.data.samples import Classification
from mritk.errors import UsageError
from mritk.evaluate.per_class import confusion as confusion_of
from mritk.report.canvas import STYLE, panels
from mritk.results.table import Table

MOST = 6


def confusion(table: Table) -> Figure:
    """Draw one matrix for each of the first rows: shares of the true class, counts of all trials.

    Raises:
        UsageError: It is a regression.
    """
    if not isinstance(table.task, Classification):
        raise UsageError("a regression has no confusion matrix")
    names = table.task.classes
    rows = [row for row in table.rows if table.records.get(row.name)][:MOST]
    side = 1.5 + 0.42 * len(names)
    with rc_context(STYLE):
        figure, axes = panels(len(rows), width=side + 0.5, height=side)
        for number, (panel, row) in enumerate(zip(axes, rows, strict=True)):
            tests = [record.predictions["test"] for record in table.records[row.name]]
            counts = np.sum([confusion_of(t.target, t.score) for t in tests], axis=0)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for i, j in np.ndindex(*counts.shape):
                ink = "white" if shares[i, j] > 0.5 else "black"
                text = f"{shares[i, j]:.0%}\n{counts[i, j]}"
                panel.text(j, i, text, ha="center", va="center", color=ink, fontsize=7)
            panel.set_title(row.name)
            panel.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
            panel.set_yticks(range(len(names)), names if number % 3 == 0 else [], fontsize=7)
            panel.set_xlabel("taken for")
            if number % 3 == 0:
                panel.set_ylabel("is")
            panel.spines[:].set_visible(False)
    return figure
