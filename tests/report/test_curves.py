"""Curves over a field of the protocol: one point per table, one line per row."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import uuid4

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mritk import Regression
from mritk.errors import UsageError
from mritk.evaluate.interval import Interval
from mritk.report.figures.curve import curve
from mritk.report.style import colour
from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder

# Figures draw what a table holds, however many resamples it took.
FEW = Analysis(resamples=100)


@pytest.fixture
def varied_records(make_trial):
    """Two datasets, three sizes of the images, two backbones: the score rises with the size."""

    def make(sizes=(32, 64, 224), **changes):
        shares = dict(zip(sizes, (0.4, 0.6, 0.8, 0.9), strict=False))
        return [
            make_trial(
                right,
                backbone=name,
                seed=0,
                dataset=dataset,
                protocol=f"p[image_size={size}]",
                fingerprint=f"{dataset}{size}{changes}",
                protocol_json=json.dumps({"image_size": size, "split": {"folds": 5} | changes}),
            )
            for dataset in ("one", "two")
            for size, right in shares.items()
            for name in ("plain@scratch", "plain@imagenet")
        ]

    return make


@pytest.fixture
def varied(varied_records):
    """Their tables, one for each protocol."""

    def make(*sizes, **changes):
        records = varied_records(*sizes, **changes)
        board = build_leaderboard(
            records, metrics=["balanced_accuracy"], analysis=FEW, group_by=["protocol"]
        )
        return board.tables

    return make


@pytest.mark.slow
def test_a_curve_of_one_table_of_all_protocols_is_that_of_a_table_for_each(varied, varied_records):
    apart = varied()
    board = build_leaderboard(varied_records(), metrics=["balanced_accuracy"], analysis=FEW)
    assert len(board.tables) == 2
    drawn = [
        [line.get_ydata().tolist() for panel in figure.axes for line in panel.lines]
        for figure in (curve(t, apart[0].metrics[0]) for t in (apart, board.tables))
    ]
    assert sorted(drawn[0]) == sorted(drawn[1])


def test_a_curve_goes_through_the_means_of_the_tables_over_the_key_that_differs(varied):
    tables = varied()
    metric = tables[0].metrics[0]
    figure = curve(tables, metric)
    assert [panel.get_title() for panel in figure.axes] == ["one", "two"]
    for panel in figure.axes:
        assert panel.get_xlabel() == "image_size"
        assert panel.get_xscale() == "log"
        assert [tick.get_text() for tick in panel.get_xticklabels()] == ["32", "64", "224"]
        for line in panel.lines:
            own = [t for t in tables if t.keys["dataset"] == panel.get_title()]
            size = {t.protocol.flat["image_size"]: t for t in own}
            means = [
                next(r for r in size[s].rows if r.name == line.get_label()).cells[metric.name].mean
                for s in (32, 64, 224)
            ]
            assert line.get_xdata().tolist() == [32, 64, 224]
            assert line.get_ydata().tolist() == means
    assert len({panel.get_ylim() for panel in figure.axes}) == 1
    assert len(figure.axes[0].collections) == 2, "a band of intervals for each row"


@pytest.mark.slow
def test_a_curve_over_words_gives_each_a_place(varied):
    figure = curve(varied(("a", "b", "c")), varied()[0].metrics[0])
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0, 1, 2]


@pytest.mark.slow
def test_a_curve_is_over_one_key(varied, table):
    metric = table.metrics[0]
    with pytest.raises(UsageError, match="do not differ; a curve needs exactly one varying key"):
        curve([table], metric)
    mixed = [*varied(), *varied(folds=10)]
    with pytest.raises(UsageError, match=r"differ in image_size, split\.folds; a curve"):
        curve(mixed, metric)
    with pytest.raises(UsageError, match=r"several tables for one value of image_size: they diff"):
        curve(mixed, metric, "image_size")
    with pytest.raises(UsageError, match=r"not all of these protocols have split\.shots"):
        curve(varied(), metric, "split.shots")


def over_shots(varied, *shots):
    """Return the curve of tables of 64 px with so many shots, the first dataset's panel."""
    tables = [t for k in shots for t in varied((64,), shots=k)]
    return curve(tables, tables[0].metrics[0], "split.shots").axes[0]


@pytest.mark.slow
def test_all_images_stand_at_the_right_end_of_a_curve_over_shots_and_no_line_leads_there(varied):
    panel = over_shots(varied, 0, 15, 5)
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["5", "15", "all"]
    five, fifteen, all_images = panel.get_xticks()
    assert (five, fifteen) == (5, 15)
    assert all_images > 15
    for line in (line for line in panel.lines if not line.get_label().startswith("_")):
        assert line.get_xdata().tolist() == [5, 15]
    points = [line for line in panel.lines if list(line.get_xdata()) == [all_images]]
    assert len(points) == 2, "one for each backbone"
    (divider,) = [line for line in panel.lines if line.get_linestyle() == ":"]
    assert 15 < divider.get_xdata()[0] < all_images < panel.get_xlim()[1]
    low, high = panel.get_ylim()
    assert all(low < end < high for line in points for end in line.get_ydata())


def test_a_curve_over_all_images_and_one_number_has_two_places(varied):
    panel = over_shots(varied, 0, 5)
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["5", "all"]


def test_all_patients_stand_at_the_right_end_though_their_protocol_does_not_state_it(varied):
    tables = [*varied((64,)), *(t for n in (20, 50) for t in varied((64,), train_patients=n))]
    panel = curve(tables, tables[0].metrics[0]).axes[0]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["20", "50", "all"]
    assert panel.get_xlabel() == "training patients (split.train_patients)"


def without_interval(table):
    """Return a table none of whose scores has an interval."""
    none = Interval.undefined("planted")
    rows = [
        replace(row, cells={name: replace(c, interval=none) for name, c in row.cells.items()})
        for row in table.rows
    ]
    return replace(table, rows=rows)


@pytest.mark.parametrize(
    ("bounded", "bars", "bands"),
    [
        ((1, 0, 0, 1), [32, 256], []),
        ((1, 1, 0, 1), [256], [(32, 64)]),
        ((1, 1, 1, 1), [], [(32, 256)]),
    ],
)
def test_an_interval_without_neighbours_is_an_error_bar(varied, bounded, bars, bands):
    """No band leads across a point that has no interval."""
    tables = [t for t in varied((32, 64, 224, 256)) if t.keys["dataset"] == "one"]
    shown = [t if some else without_interval(t) for t, some in zip(tables, bounded, strict=True)]
    panel = curve(shown, tables[0].metrics[0]).axes[0]
    own = [line for line in panel.lines if line.get_color() == colour(0)]
    bar = [line.get_xdata()[0] for line in own if line.get_label().startswith("_")]
    assert bar == bars
    drawn = [band.get_datalim(panel.transData) for band in panel.collections]
    wide = {(box.x0, box.x1) for box in drawn if box.x1 > box.x0}
    assert sorted(wide) == bands


@pytest.mark.slow
def test_the_name_of_the_metric_is_not_cut_off(varied):
    tables = varied()
    figure = curve(tables, tables[0].metrics[0])
    FigureCanvasAgg(figure).draw()
    extent = figure.axes[0].yaxis.label.get_window_extent()
    assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1


@pytest.mark.slow
def test_what_goes_along_with_the_key_is_told(varied):
    one, other = varied((32, 64, 128)), varied((224, 256, 300), folds=10)
    figure = curve([*one, *other], one[0].metrics[0], "image_size")
    assert figure.axes[0].get_xlabel() == "image_size\n(with it: split.folds)"


@pytest.mark.slow
def test_plot_draws_a_curve_of_a_varied_run(varied_records, mritk, tmp_path):
    for record in (record for shots in (4, 8) for record in varied_records((64,), shots=shots)):
        ResultsFolder(tmp_path / "results").write(replace(record, id=f"{uuid4()}"))
    path = tmp_path / "curve.svg"
    assert mritk("plot", "curve", tmp_path / "results", "-o", path, "--resamples", 100).code == 0
    assert "split.shots" in path.read_text()


def test_a_row_of_the_second_dataset_alone_is_in_the_legend(varied_records):
    records = [r for r in varied_records() if (r.dataset, r.backbone) != ("one", "plain@scratch")]
    board = build_leaderboard(records, metrics=["balanced_accuracy"], analysis=FEW)
    (legend,) = curve(board.tables, board.tables[0].metrics[0]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["plain@imagenet", "plain@scratch"]


def test_one_name_for_two_augmentations_is_refused(varied_records):
    records = varied_records()
    for record in records:
        record.augmentation = "flip" if record.dataset == "two" else "none"
    board = build_leaderboard(records, metrics=["balanced_accuracy"], analysis=FEW)
    with pytest.raises(UsageError, match="has augmentation flip in some tables and none in others"):
        curve(board.tables, board.tables[0].metrics[0])


@pytest.mark.slow
def test_plot_draws_no_curve_of_several_metrics(varied_records, make_record, mritk, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    ages = make_record(task=Regression(unit="years"))
    test = ages.predictions["test"]
    test.target, test.score = test.target.astype(float), test.score[:, 0].copy()
    ages.predictions = {"val": test, "test": test}
    for record in [*varied_records(), ages]:
        folder.write(replace(record, id=f"{uuid4()}"))
    ended = mritk("plot", "curve", tmp_path / "results")
    assert ended.code == 2
    assert "tables have different metrics (balanced_accuracy, mae)" in ended.err
