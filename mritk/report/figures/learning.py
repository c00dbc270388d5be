"""Learning curves: losses of every trial by epoch."""

from __future__ import annotations

from itertools import pairwise

from matplotlib import rc_context
from matplotlib.figure import Figure

from mritk.errors import UsageError
from mritk.report.canvas import COLOURS, RULE, STYLE, panels
from mritk.results.table import Table

MOST = 12


def learning(table: Table) -> Figure:
    """Draw training and validation loss of the first rows; stages begin at upright lines.

    Raises:
        UsageError: No trial has a history.
    """
    rows = [
        (row.name, [record for record in table.records[row.name] if record.history])
        for row in table.rows
        if table.records.get(row.name)
    ]
    rows = [(name, records) for name, records in rows if records][:MOST]
    if not rows:
        raise UsageError("no trial has a history of epochs, so there are no learning curves")
    with rc_context(STYLE):
        figure, axes = panels(len(rows), height=2.2)
        for panel, (name, records) in zip(axes, rows, strict=True):
            for number, record in enumerate(records):
                epochs = [epoch.epoch for epoch in record.history]
                for field, colour, dash in (
                    ("train_loss", COLOURS[0], "--"),
                    ("val_loss", COLOURS[1], "-"),
                ):
                    losses = [getattr(epoch, field) for epoch in record.history]
                    label = f"{field.split('_')[0]} loss" if number == 0 else None
                    panel.plot(
                        epochs, losses, dash, color=colour, label=label, lw=1.2, alpha=0.8,
                        marker="." if len(epochs) == 1 else None,
                    )  # fmt: skip
            stages = records[0].history
            for before, after in pairwise(stages):
                if before.stage != after.stage:
                    panel.axvline(after.epoch - 0.5, color=RULE, lw=1)
            panel.set_title(name)
            panel.set_xlabel("epoch")
        axes[0].legend(fontsize=8)
    return figure
