"""Learning curves: losses of every trial by epoch."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mritk.errors import UsageError
from mritk.report.style import COLOURS, INK, legend_below, panels, rest_note, styled, title_of
from mritk.results.table import Table
from mritk.store.record import TrialRecord

MOST, COLUMNS = 12, 3
LOSSES = (
    ("train_loss", "training loss", COLOURS[0], "--"),
    ("val_loss", "validation loss", COLOURS[1], "-"),
)


def learning(table: Table) -> Figure:
    """Draw training and validation loss of the first rows, a line per trial.

    Raises:
        UsageError: No trial has a history.
    """
    rows = [
        (row.name, records)
        for row in table.rows
        if (records := [r for r in table.records.get(row.name, ()) if r.history])
    ]
    if not rows:
        raise UsageError("no trial has an epoch history, so there are no learning curves")
    with styled():
        shown = rows[:MOST]
        figure, axes = panels(len(shown), columns=COLUMNS, height=2.2)
        kinds: dict[str, Line2D] = {}
        for number, (panel, (name, records)) in enumerate(zip(axes, shown, strict=True)):
            for record in records:
                kinds |= _losses(panel, record)
            kinds |= _stages(panel, records[0])
            last = max(len(record.history) for record in records)
            panel.set(title=title_of(name), xlabel="epoch", xlim=(0.5, last + 0.5))
            panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            if number % COLUMNS == 0:
                panel.set_ylabel("loss")
        legend_below(figure, kinds, note=rest_note(len(shown), len(rows)))
    return figure


def _losses(panel: Axes, record: TrialRecord) -> dict[str, Line2D]:
    """Draw the losses of one trial; return the kinds of lines by what they mean."""
    epochs, kinds = [epoch.epoch for epoch in record.history], {}
    for field, words, colour, dash in LOSSES:
        losses = [getattr(epoch, field) for epoch in record.history]
        marker = "." if len(epochs) == 1 else None
        (kinds[words],) = panel.plot(
            epochs, losses, dash, color=colour, lw=1.2, alpha=0.8, marker=marker
        )
    selected = record.note("selected_epoch", int)
    for epoch in record.history:
        if epoch.epoch == selected:
            (kinds["selected checkpoint"],) = panel.plot(
                [selected], [epoch.val_loss], "o", color=COLOURS[1], ms=4
            )
    return kinds


def _stages(panel: Axes, record: TrialRecord) -> dict[str, Line2D]:
    kinds = {}
    for before, after in pairwise(record.history):
        if before.stage != after.stage:
            kinds["start of a stage"] = panel.axvline(
                after.epoch - 0.5, color=INK, lw=1, ls=(0, (1, 2))
            )
    return kinds
