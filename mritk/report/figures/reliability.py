"""Reliability diagrams: how often a decision of some confidence is right."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mritk.errors import UsageError
from mritk.evaluate.calibration import reliability as reliability_of
from mritk.evaluate.run_values import Scored
from mritk.report.scored import drawn_rows, rows_note
from mritk.report.style import COLOURS, RULE, legend_below, panels, styled, title_of
from mritk.results.table import Table

MOST, COLUMNS = 6, 3
FOOT = 0.25  # height of the highest bar


def reliability(table: Table) -> Figure:
    """Draw accuracy over confidence for the first rows, all trials of a row together.

    Bars at the foot show where decisions lie; on the line, confidence is what it says.

    Raises:
        UsageError: The task has no classes, or no row has predictions to draw.
    """
    if not table.task.classes:
        raise UsageError(f"{table.task.kind} has no reliability diagram")
    rows = drawn_rows(table)
    with styled():
        shown = rows[:MOST]
        figure, axes = panels(len(shown), columns=COLUMNS)
        kinds: dict[str, Line2D | BarContainer] = {}
        for number, (panel, (row, trials)) in enumerate(zip(axes, shown, strict=True)):
            kinds |= _diagram(panel, trials)
            # The mean over trials, as in the table.
            error = np.mean([reliability_of(t.target, t.score).error for t in trials])
            panel.set(title=f"{title_of(row.name)}\nECE {error:.3f}", xlabel="confidence")
            panel.set(xlim=(0, 1), ylim=(0, 1.02))
            if number % COLUMNS == 0:
                panel.set_ylabel("accuracy")
        legend_below(figure, kinds, note=rows_note(table, rows, len(shown)))
    return figure


def _diagram(panel: Axes, trials: list[Scored]) -> dict[str, Line2D | BarContainer]:
    """Draw one diagram; return the kinds of marks by their meaning."""
    found = reliability_of(
        np.concatenate([trial.target for trial in trials]),
        np.concatenate([trial.score for trial in trials]),
    )
    middle, some = (found.edges[:-1] + found.edges[1:]) / 2, found.count > 0
    share = found.count / found.count.sum()
    bars = panel.bar(middle, FOOT * share / share.max(), 1 / len(middle), color=RULE)
    (perfect,) = panel.plot([0, 1], [0, 1], color=RULE, lw=1)
    (line,) = panel.plot(found.confidence[some], found.accuracy[some], "o-", color=COLOURS[0], ms=3)
    return {
        "accuracy per bin": line,
        "perfect calibration": perfect,
        "proportion of decisions (not to scale)": bars,
    }
