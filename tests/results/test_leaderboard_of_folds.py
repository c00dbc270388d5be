"""Folds on the leaderboard: what is a run, and what is left out."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mritk.evaluate.metrics import find_metric
from mritk.results.analysis import Analysis
from mritk.results.by_group import with_groups
from mritk.results.covariate import Covariate
from mritk.results.footnotes import footnotes
from mritk.results.group_table import OVER_FOLDS
from mritk.results.group_text import group_notes
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions


def rows(board, table=0):
    return board.tables[table].rows


def names(board, table=0):
    return [row.keys["backbone"] for row in rows(board, table)]


def notes(board):
    return " ".join(footnotes(board.tables[0]))


def fold_of(make_record, targets, predicted, **columns):
    """One fold that tests these patients."""
    names = [f"f{columns['fold']}-{i}" for i in range(len(targets))]
    none = [""] * len(names)
    score = np.eye(2, dtype=np.float32)[list(predicted)]
    test = Predictions(names, names, none, none, np.asarray(targets), score)
    return make_record(predictions={"val": test, "test": test}, folds=2, scheme="kfold", **columns)


HALVES = ([0, 0, 1, 1], [0, 1, 1, 1]), ([0, 1, 0, 1], [1, 1, 0, 1])


@pytest.mark.slow
def test_a_seed_that_lacks_a_fold_is_left_out_and_named_and_there_is_one_mean(make_record):
    def row(name, draws, seeds):
        return [
            fold_of(make_record, *draws[fold], backbone=name, fold=fold, seed=seed)
            for seed, folds in seeds.items()
            for fold in folds
        ]

    first = row("a", HALVES, {0: [0, 1], 1: [0]})
    second = row("b", HALVES[::-1], {0: [0, 1], 1: [0, 1]})
    board = build_leaderboard([*first, *second])
    (table,) = board.tables
    assert "a: seed 1 lacks fold 1, and is excluded" in notes(board)
    by_name = {row.name: row for row in table.rows}
    assert by_name["a"].trials == 2
    (pair,) = table.comparisons["balanced_accuracy"]
    assert pair.runs == 1
    only_whole = build_leaderboard([*first[:2], *second[:2]])
    alone = {row.name: row.cells["balanced_accuracy"].mean for row in only_whole.tables[0].rows}
    assert pair.difference == pytest.approx(alone[pair.first] - alone[pair.second])
    assert by_name["a"].cells["balanced_accuracy"].mean == alone["a"]


def test_rows_that_lack_different_folds_are_not_compared(make_record):
    records = [
        fold_of(make_record, *HALVES[fold], backbone=name, fold=fold)
        for name, fold in (("a", 0), ("a", 1), ("b", 0))
    ]
    (table,) = build_leaderboard(records).tables
    (pair,) = table.comparisons["balanced_accuracy"]
    assert math.isnan(pair.difference)
    assert "no trial of the same seed and folds" in pair.reason
    assert {row.tie for row in table.rows} == {""}


def test_a_site_without_a_class_leaves_that_class_to_the_other_sites(make_record):
    """Leave one site out: the second site has no patient of class b."""
    targets = [0, 1, 0, 1, 0, 1], [0, 0, 0, 0]
    records = [
        fold_of(make_record, target, predicted, backbone=name, fold=fold)
        for name, said in (("a", ([0, 1, 0, 0, 0, 1], [0, 0, 1, 0])), ("b", targets))
        for fold, (target, predicted) in enumerate(zip(targets, said, strict=True))
    ]
    board = build_leaderboard(records)
    found = {row.name: row.cells["balanced_accuracy"] for row in rows(board)}
    assert found["a"].mean == pytest.approx(np.mean([np.mean([1, 0.75]), 2 / 3]))
    assert not found["a"].interval.reason
    assert found["a"].interval.low <= found["a"].mean <= found["a"].interval.high
    assert "average each class over the folds that have one" in notes(board)
    assert "nan:" not in notes(board).split("macro")[0]


def test_folds_of_one_seed_are_one_run(make_record):
    """Two trials, one run: nothing of what another seed gives is in the interval."""
    records = [
        fold_of(make_record, *HALVES[fold], backbone=name, fold=fold)
        for name in ("a", "b")
        for fold in (0, 1)
    ]
    told = notes(build_leaderboard(records))
    assert "One run (seed) per row: intervals do not include the effect of another seed." in told
    assert "Folds share training samples" in told
    assert "and runs" not in told


def both_folds(make_record, **columns):
    return [
        fold_of(make_record, *HALVES[fold], backbone=name, fold=fold, **columns)
        for name in ("a", "b")
        for fold in (0, 1)
    ]


def test_a_fold_by_itself_shares_no_training_samples_and_is_one_run(make_record):
    for table in build_leaderboard(both_folds(make_record), group_by=["fold"]).tables:
        told = " ".join(footnotes(table))
        assert "[95 % interval]" in told
        assert "Folds share" not in told
        assert "the effect of retraining is unknown" in told


def test_draws_of_training_samples_for_one_test_part_are_no_folds(make_record):
    records = [
        replace(
            fold_of(make_record, *HALVES[0], backbone=name, fold=0), fold=draw, scheme="official"
        )
        for name in ("a", "b")
        for draw in (0, 1)
    ]
    told = notes(build_leaderboard(records))
    assert "[95 % interval]" in told
    assert "Folds share" not in told


def test_differences_of_these_models_are_no_wider_for_folds(make_record):
    given = build_leaderboard(both_folds(make_record), analysis=Analysis(given_these_models=True))
    assert "Folds share training samples: intervals are widened" in notes(given)


def test_a_fold_that_tests_one_patient_is_named(make_record):
    halves = [fold_of(make_record, *HALVES[fold], fold=fold) for fold in (0, 1)]
    assert "A single patient" not in notes(build_leaderboard(halves))
    lone = fold_of(make_record, [0], [1], fold=1)
    assert (
        "A single patient was tested in fold 1, which counts in a mean over folds like any other."
    ) in notes(build_leaderboard([halves[0], lone]))
    only = fold_of(make_record, [0], [1], fold=0)
    assert "A single patient" not in notes(build_leaderboard([only])), "no mean over folds"


def drawn_again(make_record, draws, scheme, seeds):
    """Two patients of each class are tested at a time; or, officially, the same ones each time."""
    rng = np.random.default_rng(0)
    trials = []
    for seed, numbers in seeds.items():
        for draw in numbers:
            some = np.r_[rng.choice(12, 2, replace=False), 12 + rng.choice(12, 2, replace=False)]
            some = some if scheme == "holdout" else np.array([0, 1, 12, 13])
            names, none = [f"p{i}" for i in some], [""] * 4
            target = np.array([0, 0, 1, 1])
            score = np.eye(2, dtype=np.float32)[np.where(rng.random(4) < 0.7, target, 1 - target)]
            test = Predictions(names, names, none, none, target, score)
            trials.append(
                make_record(
                    predictions={"val": test, "test": test},
                    protocol_json=json.dumps({"split": {"scheme": scheme, "repeats": draws}}),
                    scheme=scheme,
                    folds=draws,
                    fold=draw,
                    seed=seed,
                )
            )
    return trials


def test_draws_of_a_hold_out_part_are_the_folds_of_one_run(make_record):
    board = build_leaderboard(drawn_again(make_record, 12, "holdout", {0: range(12)}))
    (row,) = rows(board)
    cell = row.cells["balanced_accuracy"]
    assert not cell.interval.reason
    assert cell.mean == pytest.approx(np.mean(cell.values))
    assert "One run (seed) per row: intervals do not include" in notes(board)
    assert "Folds share training samples" in notes(board)
    assert "and runs" not in notes(board)
    assert cell.interval.degenerate == 0


def test_a_seed_that_lacks_a_draw_is_left_out(make_record):
    for scheme, told in (("holdout", "seed 1 lacks fold 2"), ("official", "seed 1 lacks repeats")):
        trials = drawn_again(make_record, 3, scheme, {0: range(3), 1: range(2)})
        board = build_leaderboard(trials)
        assert f"tiny@scratch: {told}" in notes(board)
        assert rows(board)[0].seeds == (0, 0, 0)


def test_where_folds_leave_no_mean_there_is_no_spread_either(make_record):
    """One fold lacks a class, so that no run has a coefficient; two folds have one each."""
    folds = (*HALVES, ([0, 0, 0, 0], [0, 0, 1, 0]))
    records = [fold_of(make_record, *draw, fold=fold) for fold, draw in enumerate(folds)]
    board = build_leaderboard([replace(r, folds=3) for r in records], metrics=["mcc"])
    cell = rows(board)[0].cells["mcc"]
    assert np.isfinite(cell.values).sum() == 2
    assert math.isnan(cell.mean)
    assert math.isnan(cell.spread)
    assert "nan: " in notes(board)


def test_folds_that_all_rows_lack_are_named_unless_tables_are_of_one_fold(make_record):
    made = [
        fold_of(make_record, *HALVES[fold], backbone=name, fold=fold)
        for name in "ab"
        for fold in (0, 1)
    ]
    assert "missing in all rows" not in notes(build_leaderboard(made))
    of_five = [replace(record, folds=5) for record in made]
    told = "Folds 2, 3, 4 of 5 are missing in all rows: every number is of the other folds alone"
    assert told in notes(build_leaderboard(of_five))
    assert "Fold 1 of 2 is missing in all rows" in notes(build_leaderboard(made[::2]))
    assert "missing in all rows" not in notes(build_leaderboard(of_five, group_by=["fold"]))


def test_a_fold_without_a_sample_of_a_group_is_not_missing_from_its_table(make_record):
    """Leave one site out: each of the tables by site is of one fold."""
    made = []
    for name in "ab":
        for fold in (0, 1):
            record = fold_of(make_record, *HALVES[fold], backbone=name, fold=fold)
            site = [f"site {fold}"] * 4
            parts = {part: replace(p, site=site) for part, p in record.predictions.items()}
            made.append(replace(record, predictions=parts))
    by_site = Analysis(by="site")
    board = build_leaderboard(made, analysis=by_site)
    assert [table.keys["site"] for table in board.tables] == ["site 0", "site 1"]
    assert not any("missing in all rows" in " ".join(footnotes(t)) for t in board.tables)
    of_three = build_leaderboard([replace(r, folds=3) for r in made], analysis=by_site)
    for table in of_three.tables:
        assert "Fold 2 of 3 is missing in all rows" in " ".join(footnotes(table))


def by_site(trials):
    (found,) = with_groups(build_leaderboard(trials), [Covariate("site")]).tables
    return found.groups[0]


def test_a_group_that_several_folds_test_is_said_to_be_a_mean_over_them(make_record):
    """One fold tests 10 and 30 of the two sites, the other 30 and 10: pooled, others result."""
    rng = np.random.default_rng(0)
    trials = []
    for fold, few in enumerate("ab"):
        site = [few] * 10 + ["b" if few == "a" else "a"] * 30
        names, target = [f"{fold}-{n}" for n in range(40)], np.arange(40) % 2
        score = rng.normal(size=(40, 2)).astype(np.float32)
        test = Predictions(names, names, site, [""] * 40, target, score)
        trials.append(
            make_record(
                id=f"fold{fold}",
                fold=fold,
                folds=2,
                scheme="kfold",
                predictions={"val": test, "test": test},
            )
        )
    groups = by_site(trials)
    assert OVER_FOLDS in group_notes(groups)
    accuracy = find_metric("balanced_accuracy").compute
    parts = [Covariate("site").divided(trial)["a"].predictions["test"] for trial in trials]
    expected = np.mean([accuracy(part.target, part.score).value for part in parts])
    assert groups.rows[0].scores["a"].value == pytest.approx(expected)
    apart = build_leaderboard(trials, analysis=Analysis(by="site", interval="none"))
    assert all(OVER_FOLDS in footnotes(found) for found in apart.tables)
    of_one = by_site(trials[:1])
    assert OVER_FOLDS not in group_notes(of_one)
    (one, _) = build_leaderboard(trials[:1], analysis=Analysis(by="site")).tables
    assert OVER_FOLDS not in footnotes(one)
    (all_sites,) = build_leaderboard(trials).tables
    assert OVER_FOLDS not in footnotes(all_sites)
