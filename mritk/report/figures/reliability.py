"""Reliability diagrams: how often a decision of some confidence is right."""

from __future__ import annotations

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from mritk.data.samples import Classification
from mritk.errors import UsageError
from mritk.evaluate.calibration import reliability as reliability_of
from mritk.report.canvas import COLOURS, RULE, STYLE, panels
from mritk.results.table import Table

MOST = 6


def reliability(table: Table) -> Figure:
    """Draw accuracy over confidence for the first rows, all trials of a row together.

    Bars at the foot show where decisions lie; on the line, confidence is what it says.

    Raises:
        UsageError: It is a regression.
    """
    if not isinstance(table.task, Classification):
        raise UsageError("a regression has no reliability diagram")
    rows = [row for row in table.rows if table.records.get(row.name)][:MOST]
    with rc_context(STYLE):
        figure, axes = panels(len(rows))
        for panel, row in zip(axes, rows, strict=True):
            tests = [record.predictions["test"] for record in table.records[row.name]]
            found = reliability_of(
                np.concatenate([test.target for test in tests]),
                np.concatenate([test.score for test in tests]),
            )
            middle = (found.edges[:-1] + found.edges[1:]) / 2
            share = found.count / found.count.sum()
            panel.bar(middle, 0.25 * share / share.max(), 1 / len(middle), color=RULE)
            panel.plot([0, 1], [0, 1], color=RULE, lw=1)
            some = found.count > 0
            panel.plot(found.confidence[some], found.accuracy[some], "o-", color=COLOURS[0], ms=3)
            panel.set_title(f"{row.name}\nECE {found.error:.3f}")
            panel.set_xlabel("confidence")
            panel.set_ylabel("accuracy")
            panel.set_xlim(0, 1)
            panel.set_ylim(0, 1.02)
    return figure
