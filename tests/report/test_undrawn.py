"""What figures do not draw: scores that are no numbers, differences that are not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mritk.errors import UsageError
from mritk.report.by_class import by_class
from mritk.report.figures.confusion import confusion
from mritk.report.figures.curves import precision_recall, roc
from mritk.report.figures.differences import differences
from mritk.report.figures.reliability import reliability
from mritk.report.scored import drawn_rows
from mritk.report.style import colour, dash
from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard

# Figures draw what a table holds, however many resamples it took.
FEW = Analysis(resamples=100)


@pytest.mark.parametrize("draw", [roc, precision_recall, confusion, reliability])
def test_scores_that_are_no_numbers_are_not_drawn_as_decisions(make_trial, draw):
    broken = make_trial(0.8, backbone="broken")
    broken.predictions["test"].score[0, 0] = np.nan
    (table,) = build_leaderboard([broken], analysis=FEW).tables
    with pytest.raises(UsageError, match=r"no row has predictions to draw .*NaN or infinite"):
        draw(table)
    (table,) = build_leaderboard([broken, make_trial(0.8, backbone="sound")], analysis=FEW).tables
    assert [row.name for row, _ in drawn_rows(table)] == ["sound"]
    assert [one.row for one in by_class(table)] == ["sound"]
    (legend,) = draw(table).legends
    told = " ".join(legend.get_title().get_text().split())
    assert "Not drawn, some scores are undefined: broken." in told


@pytest.mark.parametrize("draw", [roc, precision_recall, confusion, reliability])
def test_where_no_row_can_be_scored_the_reason_is_told(make_record, draw):
    """Patients are asked for, and the data have none."""
    (table,) = build_leaderboard(
        [make_record(patients=False)], analysis=Analysis(resamples=100, level="patient")
    ).tables
    with pytest.raises(UsageError, match=r"no row has predictions to draw .*patient"):
        draw(table)


def test_the_calibration_error_is_that_of_the_table_and_not_of_all_trials_together(make_trial):
    """One trial is too sure, the other not sure enough: together they seem calibrated."""
    trials = [make_trial(right, backbone="b", seed=seed) for seed, right in enumerate((0.5, 1.0))]
    board = build_leaderboard(trials, metrics=["balanced_accuracy", "ece"], analysis=FEW)
    (table,) = board.tables
    mean = table.rows[0].cells["ece"].mean
    assert f"ECE {mean:.3f}" in reliability(table).axes[0].get_title()


def test_differences_that_were_not_computed_make_no_empty_figure(records):
    (table,) = build_leaderboard(records, analysis=replace(FEW, interval="none")).tables
    with pytest.raises(UsageError, match="there are no differences in balanced accuracy to draw"):
        differences(table, table.metrics[0])


def test_plot_says_which_option_computes_no_differences(mritk, tmp_path):
    ended = mritk("plot", "differences", tmp_path, "--interval", "none")
    assert ended.code == 2
    assert "--interval none computes no differences to draw; remove it" in ended.err


def test_no_two_of_many_rows_are_drawn_alike():
    assert len({(colour(number), dash(number)) for number in range(32)}) == 32


@pytest.mark.slow
def test_plot_names_files_that_it_could_not_read(mritk, results, tmp_path):
    (results / "trials" / "torn.h5").write_bytes(b"torn")
    ended = mritk("plot", "cost", results, "-o", tmp_path / "a.png")
    assert "mritk: not read: " in ended.err
    assert "torn.h5" in ended.err
