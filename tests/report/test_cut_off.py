"""Nothing of a figure is cut off at its edges, however small it is."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mritk.errors import UsageError
from mritk.report.figure_names import KINDS
from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard

# Figures draw what a table holds, however many resamples it took.
FEW = Analysis(resamples=100)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_legend_or_label_is_cut_off(make_trial, kind, rows):
    trials = [make_trial(0.9 - n / 5, backbone=f"b{n}") for n in range(rows)]
    (table,) = build_leaderboard(trials, analysis=FEW).tables
    try:
        figure = KINDS[kind].draw(table, table.metrics[0])
    except UsageError:  # of one row
        return
    FigureCanvasAgg(figure).draw()
    for found in figure.legends:
        extent = found.get_window_extent()
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1
    for label in (axes.yaxis.label for axes in figure.axes):
        extent = label.get_window_extent()
        assert figure.bbox.y0 <= extent.y0 <= extent.y1 <= figure.bbox.y1
