"""Figures show the numbers of the table: their artists hold them."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from mritk import Regression
from mritk.errors import UsageError
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.per_class import confusion as confusion_of
from mritk.evaluate.ranks import odds_ranks
from mritk.report.chance import chance_of
from mritk.report.figure_names import KINDS
from mritk.report.figures.confusion import confusion
from mritk.report.figures.cost import cost
from mritk.report.figures.curves import GRID, precision_recall, roc
from mritk.report.figures.differences import differences, signed
from mritk.report.figures.forest import forest
from mritk.report.figures.learning import learning
from mritk.report.figures.reliability import reliability
from mritk.report.labels import label_points
from mritk.report.style import inline_svg, panels, short, title_of
from mritk.results.analysis import Analysis
from mritk.results.columns import cell_text
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions

# Figures draw what a table holds, however many resamples it took.
FEW = Analysis(resamples=100)


@pytest.mark.slow
def test_every_kind_of_the_command_line_can_be_drawn(table):
    from mritk.cli.plot import KINDS as OFFERED

    assert set(OFFERED) == set(KINDS)
    for kind in KINDS.values():
        assert kind.draw(table, table.metrics[0]).axes


def test_names_with_control_characters_make_no_broken_svg(table):
    figure = forest(table, table.metrics[0])
    figure.axes[0].set_title("<b>\x1b[31m&-->$x$\u202e")
    svg = inline_svg(figure, "t", "a label\x07")
    ElementTree.fromstring(svg)
    assert r"&lt;b&gt;\u001b[31m" in svg


def test_forest_shows_each_mean_with_its_interval_best_at_the_top(table):
    metric = table.metrics[0]
    (axes,) = forest(table, metric).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [r.name for r in table.rows]
    lines = [list(line.get_xdata()) for line in axes.lines]
    for row in table.rows:
        cell = row.cells[metric.name]
        assert [cell.interval.low, cell.interval.high] in lines
        assert [cell.mean] in lines
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == "balanced accuracy ↑ (higher is better)"


def legend(figure):
    """Return what the legend of a figure says: its sentence, and its words for marks."""
    (found,) = figure.legends
    return found.get_title().get_text(), [text.get_text() for text in found.get_texts()]


def test_forest_explains_its_marks_and_prints_its_numbers(table):
    metric = table.metrics[0]
    figure = forest(table, metric)
    sentence, words = legend(figure)
    assert sentence == "Rows that share a letter (tie) do not differ significantly."
    assert words == ["mean", "95 % interval", "single trials", "chance: 0.333"]
    beside = [text.get_text() for text in figure.axes[0].texts]
    for row in table.rows:
        assert cell_text(row.cells[metric.name], "") in beside
        assert row.tie in beside


def test_forest_tells_chance_far_from_all_scores_at_the_end_of_its_axis(make_trial):
    near_one = [make_trial(right, backbone=f"b{right}") for right in (0.99, 1.0)]
    (table,) = build_leaderboard(near_one, analysis=FEW).tables
    figure = forest(table, table.metrics[0])
    assert "← chance: 0.333" in [text.get_text() for text in figure.axes[0].texts]
    assert figure.axes[0].get_xlim()[0] > 0.5


@pytest.mark.parametrize(
    ("metric", "dummy"),
    [("accuracy", "most_frequent"), ("balanced_accuracy", "most_frequent"), ("log_loss", "prior")],
)
def test_chance_is_what_a_classifier_without_eyes_scores(table, metric, dummy):
    test = table.records[table.rows[0].name][0].predictions["test"]
    blind = DummyClassifier(strategy=dummy).fit(np.zeros((90, 1)), test.target)
    with np.errstate(divide="ignore"):
        score = np.maximum(blind.predict_log_proba(np.zeros((90, 1))), -1e3)
    found, _ = chance_of(table, find_metric(metric))
    assert found == pytest.approx(find_metric(metric).compute(test.target, score).value)


def test_chance_of_most_metrics_is_not_known(table):
    assert chance_of(table, find_metric("ece")) is None


def test_differences_are_signed_and_those_that_are_decided_are_framed(table):
    metric = table.metrics[0]
    figure = differences(table, metric)
    axes, bar = figure.axes
    assert bar.get_ylabel() == "difference in\nbalanced accuracy:\nrow − column"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("column", "row")
    assert legend(figure)[0] == "Framed: significant at 5 % (Holm)."
    shown = axes.images[0].get_array()
    at = {row.name: number for number, row in enumerate(table.rows)}
    framed = 0
    for pair in table.comparisons[metric.name]:
        i, j = at[pair.first], at[pair.second]
        assert shown[i, j] == pytest.approx(pair.difference)
        assert shown[j, i] == pytest.approx(-pair.difference)
        framed += pair.verdict.value != "cannot tell"
    boxes = [text for text in axes.texts if text.get_bbox_patch() is not None]
    assert len(boxes) == 2 * framed > 0


def test_differences_that_were_not_tested_are_in_brackets(make_trial):
    single = [make_trial(right, backbone=f"b{right}") for right in (0.4, 0.9)]
    (table,) = build_leaderboard(single, analysis=FEW).tables
    figure = differences(table, table.metrics[0])
    assert all(text.get_text().startswith("(") for text in figure.axes[0].texts)
    assert legend(figure)[0] == "In brackets: not tested."


@pytest.mark.parametrize(("value", "text"), [(0.001, "0.00"), (-0.001, "0.00"), (-0.21, "−0.21")])
def test_a_difference_that_rounds_to_zero_has_no_sign(value, text):
    assert signed(value) == text


def test_learning_curves_hold_every_trial_and_mark_where_a_stage_begins(table):
    figure = learning(table)
    assert len(figure.axes) >= 3
    panel = figure.axes[0]
    record = table.records[table.rows[0].name][0]
    losses = [line.get_ydata() for line in panel.lines]
    assert [epoch.val_loss for epoch in record.history] in [list(found) for found in losses]
    assert [2.5, 2.5] in [list(line.get_xdata()) for line in panel.lines]
    words = ["training loss", "validation loss", "selected checkpoint", "start of a stage"]
    assert legend(figure)[1] == words
    assert panel.get_ylabel() == "loss"


def test_roc_curves_have_the_area_that_the_table_states(table):
    figure = roc(table)
    row = table.rows[0]
    for k, panel in enumerate(figure.axes[:3]):
        thick = [line for line in panel.lines if line.get_label() == row.name]
        area = auc(GRID, thick[0].get_ydata())
        tests = [record.predictions["test"] for record in table.records[row.name]]
        exact = [roc_auc_score(t.target == k, odds_ranks(t.score, k)) for t in tests]
        assert area == pytest.approx(np.mean(exact), abs=0.01)


@pytest.mark.parametrize(("draw", "area", "word"), [
    (roc, roc_auc_score, "AUC"), (precision_recall, average_precision_score, "AP"),
])  # fmt: skip
def test_areas_under_curves_stand_in_panels_and_legend(table, draw, area, word):
    figure = draw(table)
    every = np.array([
        [np.mean([area(t.target == k, odds_ranks(t.score, k)) for t in tests]) for k in range(3)]
        for row in table.rows
        for tests in [[r.predictions["test"] for r in table.records[row.name]]]
    ])  # fmt: skip
    for k in range(3):
        written = [text.get_text() for text in figure.axes[k].texts]
        assert written == [word, *(f"{value:.3f}" for value in every[:, k])]
    rows = [
        f"{r.name} (mean {word} {m:.3f})"
        for r, m in zip(table.rows, every.mean(axis=1), strict=True)
    ]
    assert legend(figure)[1] == [*rows, "chance" if word == "AUC" else "prevalence"]


def test_the_mean_area_is_the_macro_auroc_of_the_table(table):
    told = legend(roc(table))[1]
    for row in table.rows:
        assert f"{row.name} (mean AUC {row.cells['macro_auroc'].mean:.3f})" in told


@pytest.mark.slow
def test_figures_are_of_patients_where_the_table_is(records):
    analysis = Analysis(level="patient", resamples=100)
    (table,) = build_leaderboard(records, analysis=analysis).tables
    counts = [int(t.get_text().split("\n")[1]) for t in confusion(table).axes[0].texts]
    assert sum(counts) == 2 * 30, "two trials on thirty patients"
    row = table.rows[0]
    auc_told = f"{row.name} (mean AUC {row.cells['macro_auroc'].mean:.3f})"
    assert auc_told in legend(roc(table))[1]


def test_precision_recall_curves_have_the_average_precision_as_their_area(table):
    figure = precision_recall(table)
    row = table.rows[0]
    for k, panel in enumerate(figure.axes[:3]):
        thick = [line for line in panel.lines if line.get_label() == row.name]
        area = auc(GRID, thick[0].get_ydata())
        tests = [record.predictions["test"] for record in table.records[row.name]]
        exact = [average_precision_score(t.target == k, odds_ranks(t.score, k)) for t in tests]
        assert area == pytest.approx(np.mean(exact), abs=0.02)


def test_confusion_matrices_count_all_trials_of_a_row(table):
    panel, *_, bar = confusion(table).axes
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted", "true")
    assert bar.get_ylabel() == "proportion of the true class"
    tests = [r.predictions["test"] for r in table.records[table.rows[0].name]]
    counts = sum(confusion_of(t.target, t.score) for t in tests)
    texts = [text.get_text().split("\n")[1] for text in panel.texts]
    assert texts == [str(count) for count in counts.ravel()]
    np.testing.assert_allclose(panel.images[0].get_array().sum(axis=1), 1)


def test_reliability_names_the_calibration_error(table):
    figure = reliability(table)
    panel = figure.axes[0]
    assert "perfect calibration" in legend(figure)[1]
    assert "".join(table.rows[0].name.split()) in "".join(panel.get_title().split())
    assert "ECE 0." in panel.get_title()


@pytest.mark.slow
def test_cost_joins_the_rows_that_no_other_beats(table):
    figure = cost(table, table.metrics[0])
    (axes,) = figure.axes
    assert legend(figure)[1][0] == "Pareto front: no other row is both cheaper and better"
    assert axes.get_xlabel() == "parameters (M) ↓ (less is better)"
    front = axes.lines[0]
    points = {(r.cost["parameters"], r.cells["balanced_accuracy"].mean) for r in table.rows}
    joined = set(zip(front.get_xdata(), front.get_ydata(), strict=True))
    assert joined <= points
    for x, y in points - joined:
        assert any(a <= x and b >= y for a, b in joined), "beaten by one on the line"


@pytest.mark.slow
def test_names_beside_points_cover_neither_each_other_nor_points():
    figure, (axes,) = panels(1, width=5, height=3)
    points = [(0.5 + 0.02 * n, 0.5 + 0.01 * n, f"a rather long name {n}") for n in range(6)]
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.plot([x for x, *_ in points], [y for _, y, _ in points], "o")
    label_points(axes, points)
    FigureCanvasAgg(figure).draw()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == 6
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert not any(box.contains(*axes.transData.transform(point[:2])) for point in points)


LONG = "resnet18@file:/home/me/a/very/long/path/to/some/where/weights_of_mine_that_are_long.pt"


def test_a_name_that_is_too_long_is_told_by_its_beginning_and_its_end():
    assert short("b" * 44) == "b" * 44
    assert short(LONG) == f"{LONG[:21]}…{LONG[-22:]}"
    assert max(map(len, title_of(LONG).splitlines())) <= 30


@pytest.mark.slow
@pytest.mark.filterwarnings("error:constrained_layout not applied")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_long_names_leave_room_for_the_figure(make_trial, kind):
    trials = [make_trial(right, backbone=name) for name, right in ((LONG, 0.9), ("b", 0.5))]
    (table,) = build_leaderboard(trials, analysis=FEW).tables
    figure = KINDS[kind].draw(table, table.metrics[0])
    FigureCanvasAgg(figure).draw()
    assert figure.axes[0].get_window_extent().width > 1.2 * figure.dpi


def test_names_that_are_alike_when_shortened_have_a_line_each_in_a_legend(make_trial):
    names = (LONG, LONG.replace("very", "rather"))
    trials = [make_trial(0.9 - n / 5, backbone=name) for n, name in enumerate(names)]
    (table,) = build_leaderboard(trials, analysis=Analysis(interval="none")).tables
    assert len({short(name) for name in names}) == 1
    assert len(legend(roc(table))[1]) == 3


@pytest.mark.slow
def test_a_figure_says_how_many_rows_it_leaves_out(make_trial):
    many = [make_trial(0.5 + 0.04 * n, backbone=f"b{n}") for n in range(8)]
    analysis = Analysis(interval="none")
    (table,) = build_leaderboard(many, metrics=["accuracy"], analysis=analysis).tables
    assert legend(confusion(table))[0] == "The first 6 of 8 rows."
    assert legend(roc(table))[0] == ""


def test_what_a_table_does_not_have_is_a_sentence(make_record):
    values = Predictions(["a", "b"], ["p", "q"], ["", ""], ["", ""], np.ones(2), np.ones(2))
    record = make_record(task=Regression("years"), predictions={"test": values}, history=[])
    regression = build_leaderboard([record]).tables[0]
    for draw in (roc, precision_recall, confusion, reliability):
        with pytest.raises(UsageError, match="regression has no"):
            draw(regression)
    with pytest.raises(UsageError, match="no trial has an epoch history"):
        learning(regression)
    with pytest.raises(UsageError, match="fewer than two rows have a cost"):
        cost(regression, regression.metrics[0])
    with pytest.raises(UsageError, match="MAE is defined for fewer than two rows"):
        differences(regression, regression.metrics[0])
    undefined = next(m for m in regression.metrics if not regression.rows[0].cells[m.name].defined)
    with pytest.raises(UsageError, match=f"{undefined.label} is undefined for all rows"):
        forest(regression, undefined)


def test_svg_takes_the_colours_of_the_page_and_has_ids_of_its_own(table):
    svg = inline_svg(forest(table, table.metrics[0]), "one", "a & b")
    assert "currentColor" in svg
    assert "#1a2b3c" not in svg
    assert 'aria-label="a &amp; b"' in svg
    assert "<script>" not in svg
    assert 'id="one-' in svg
    assert 'href="#one-' in svg


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".PNG", ".svg", ".pdf"])
def test_plot_writes_a_file_of_each_kind(mritk, results, tmp_path, suffix):
    path = tmp_path / f"figure{suffix}"
    ended = mritk("plot", "forest", results, "-o", path)
    assert ended.code == 0, ended.err
    assert path.stat().st_size > 1000
    if suffix.lower() == ".png":
        assert np.asarray(Image.open(path).convert("L")).std() > 1, "something is drawn"


@pytest.mark.slow
def test_plot_refuses_what_it_cannot_write_or_choose(mritk, results, tmp_path):
    assert mritk("plot", "forest", results, "-o", tmp_path / "a.gif").code == 2
    assert mritk("plot", "forest", results, "--dpi", 0).code == 2
    assert mritk("plot", "forest", tmp_path / "nowhere").code == 2
    ended = mritk("plot", "forest", results, "--backbone", "zzz", "-o", tmp_path / "a.png")
    assert ended.code == 2
    assert "no such finished trial" in ended.err
