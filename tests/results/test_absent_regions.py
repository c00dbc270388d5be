"""What a table says of cases whose scores are undefined, or are not what their unit says."""

from __future__ import annotations

import numpy as np
import pytest

from mritk import Segmentation
from mritk.compare.gate import compare_folders
from mritk.errors import ExitCode
from mritk.evaluate.metrics import find_metric
from mritk.results.absent_regions import absent_regions, undefined_cases
from mritk.results.analysis import Analysis
from mritk.results.by_group import with_groups
from mritk.results.covariate import Covariate
from mritk.results.footnotes import footnotes
from mritk.results.group_text import group_notes
from mritk.results.leaderboard import build_leaderboard
from mritk.store.label_maps import LabelMaps
from mritk.store.record import Predictions


def test_undefined_cases_are_counted_over_trials_and_explained():
    nan = float("nan")
    score = np.asarray([[nan, nan], [0.0, nan], [1.0, 2.0]])
    none = [""] * 3
    test = Predictions(["a", "b", "c"], none, none, none, np.zeros(3), score)
    assert undefined_cases(test) == {}, "they are logits"
    test.cases = ("dice[WT]", "hd95[WT]")
    assert undefined_cases(test) == {"dice[WT]": 1, "hd95[WT]": 2}
    assert absent_regions({"net": [(undefined_cases(test), 3), ({"hd95[WT]": 1}, 3)]}) == [
        "Dice WT is undefined in 1 of 6 tested cases, where neither label map has the region; "
        "they are left out.",
        "HD95 (mm) WT is undefined in 3 of 6 tested cases, where a label map lacks the region; "
        "they are left out.",
    ]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["dice[core]"], ["Dice core"]),
        (["hd95"], ["HD95 (mm) core", "HD95 (mm) WT"]),
        (["dice[WT]"], []),
    ],
)
def test_only_what_a_table_shows_is_told_to_be_undefined(columns, told):
    lost = {"dice[core]": 1, "hd95[core]": 2, "hd95[WT]": 1}
    task = Segmentation(
        ("background", "core", "oedema"), {"WT": ("core", "oedema"), "core": ("core",)}
    )
    found = absent_regions({"net": [(lost, 3)]}, [find_metric(name, task) for name in columns])
    assert [line.partition(" is undefined")[0] for line in found] == told


def test_rows_that_leave_out_more_than_others_are_named():
    (found,) = absent_regions({"unet, none": [({}, 9)], "small": [({"hd95[WT]": 4}, 9)]})
    assert found == (
        "HD95 (mm) WT is undefined in 4 of 18 tested cases, where a label map lacks the region "
        "(unet, none: 0; small: 4); they are left out."
    )


@pytest.mark.parametrize("spacing", [None, np.full((2, 3), 0.5)], ids=["unknown", "known"])
def test_a_table_says_that_its_millimetres_are_voxels(make_record, spacing):
    """Data that do not state their spacing are measured as if it were 1 mm."""
    maps = LabelMaps.of(np.ones((2, 2, 2, 2), np.uint8), spacing)
    none = ["", ""]
    test = Predictions(["a", "b"], none, none, none, np.zeros(2), np.ones((2, 2)))
    test.cases, test.masks, test.references = ("dice[x]", "hd95[x]"), maps, maps
    record = make_record(task=Segmentation(("background", "x")), predictions={"test": test})
    (table,) = build_leaderboard([record]).tables
    assert any("1 mm" in line for line in table.warnings) == (spacing is None)


REGIONS = Segmentation(("background", "core", "oedema"))
QUICK = Analysis(resamples=200)


@pytest.fixture
def row_of(make_record):
    """Trials of one row, each fold of 10 patients; those of ``lost`` have no case with core."""

    def made(name, folds, seeds=(0,), lost=()):
        trials = []
        for seed in seeds:
            for fold in range(folds):
                score = np.random.default_rng([fold, seed, len(name)]).uniform(0.2, 0.9, (10, 4))
                if (seed, fold) in lost:
                    score[:, [0, 2]] = np.nan
                ids = [f"{fold}-{number}" for number in range(10)]
                none, site = [""] * 10, ["left"] * 10
                test = Predictions(ids, ids, site, none, np.zeros(10), score, cases=REGIONS.columns)
                trials.append(
                    make_record(
                        task=REGIONS, backbone=name, seed=seed, fold=fold, folds=folds,
                        scheme="kfold" if folds > 1 else "official",
                        id=f"{name}{seed}{fold}", predictions={"test": test},
                    )
                )  # fmt: skip
        return trials

    return made


def board(trials, **options):
    return build_leaderboard(trials, analysis=QUICK, **options)


def test_a_mean_is_over_the_folds_that_have_a_value_and_the_table_says_so(row_of):
    lost = [(0, 2)]
    trials = [*row_of("one", 4, lost=lost), *row_of("another", 4, lost=lost)]
    (table,) = board(trials).tables
    (alone,) = board([trial for trial in trials if trial.fold != 2]).tables
    for row, of in zip(table.rows, alone.rows, strict=True):
        for name in ("dice", "dice[core]", "hd95[core]"):
            cell = row.cells[name]
            assert cell.mean == pytest.approx(of.cells[name].mean)
            assert cell.spread == pytest.approx(of.cells[name].spread)
            assert cell.mean in cell.interval
            assert (np.isnan(cell.values).sum(), cell.reason) == (1, "")
    assert {row.tie for row in table.rows} != {""}
    told = footnotes(table)
    assert (
        "Dice, HD95 (mm), Dice core, HD95 (mm) core: mean over the 3 of 4 folds that have a value."
        in told
    )
    assert not any(line.startswith("nan") or "of a class" in line for line in told)


def test_rows_that_have_values_in_other_folds_or_seeds_are_named(row_of):
    trials = [*row_of("one", 2, (0, 1), [(0, 1)]), *row_of("another", 2, (0, 1))]
    (table,) = board(trials, metrics=["hd95[core]"]).tables
    told = " ".join(footnotes(table))
    assert (
        "mean over the trials (seeds and folds) that have a value (" in told
        and "one: 3 of 4" in told
        and "another: 4 of 4" in told
        and "these differ, so the means are of different cases." in told
    )
    assert "Differences are not tested: HD95 (mm) core leaves out 10 cases of one row" in told
    assert {row.tie for row in table.rows} == {""}
    (one,) = [row for row in table.rows if row.name == "one"]
    cell = one.cells["hd95[core]"]
    runs = cell.values[0], np.mean(cell.values[2:])
    assert cell.mean == pytest.approx(np.mean(runs)), "seeds count alike"


def test_a_mean_over_seeds_leaves_out_those_without_a_value(row_of):
    (table,) = board(row_of("one", 1, (0, 1, 2), [(1, 0)]), metrics=["dice[core]"]).tables
    values = table.rows[0].cells["dice[core]"].values
    assert table.rows[0].cells["dice[core]"].mean == pytest.approx((values[0] + values[2]) / 2)
    assert "Dice core: mean over the 2 of 3 seeds that have a value." in footnotes(table)


def test_a_row_without_any_value_says_why(row_of):
    every = [(0, 0), (0, 1)]
    (table,) = board(row_of("one", 2, lost=every), metrics=["dice[core]"]).tables
    assert not table.rows[0].cells["dice[core]"].defined
    told = footnotes(table)
    assert "nan: no case has the region in either label map." in told
    assert not any("mean over the" in line for line in told)


def test_the_score_of_a_group_tells_of_folds_without_a_value(row_of):
    found = board(row_of("one", 4, lost=[(0, 1)]), metrics=["dice[core]"])
    (table,) = with_groups(found, [Covariate.parse("site")]).tables
    (groups,) = table.groups
    cell = table.rows[0].cells["dice[core]"]
    assert groups.rows[0].scores["left"].value == pytest.approx(cell.mean)
    assert "left: mean over the 3 of 4 folds that have a value." in group_notes(groups)


@pytest.mark.parametrize(("lost", "tested"), [([(0, 1)], True), ([(0, 1), (0, 2)], False)])
def test_the_gate_tells_of_folds_without_a_value(row_of, lost, tested):
    base, head = row_of("one", 4, lost=[(0, 1)]), row_of("one", 4, lost=lost)
    found = compare_folders(base, head, analysis=QUICK, metrics=["dice[core]"])
    (change,) = found.changes
    assert (change.comparison.tested, found.exit_code == ExitCode.OK) == (tested, tested)
    (told,) = [line for line in found.doubtful if "have a value" in line]
    assert ("these differ" in told) is not tested
