"""Scores on all test samples and on the clean ones, marks, and the verdict's line."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from mritk.audit.verdict import flattered, verdict_line
from mritk.results.formats import format_leaderboard
from mritk.results.leaderboard import build_leaderboard

VERDICT = {
    "audited": True,
    "findings": [],
    "clusters": 1,
    "samples_in_clusters": 2,
    "copies": "drop",
    "dropped": 2,
    "unused": 0,
    "test": 4,
    "clean": 3,
    "shared_with_validation": 0,
    "split": "0123456789abcdef",
    "pretraining": [],
}
KEPT = {"copies": "keep", "dropped": 0}
ALONE = {"clean": 4, "dropped": 0}


@pytest.fixture
def record(make_record):
    """One wrong prediction among the targets 0, 0, 1, 1; the last sample is not clean."""

    def make(clean=(True, True, True, False), **changes):
        verdict = VERDICT | {"clean": sum(clean)} | changes.pop("audit", {})
        made = make_record((0, 0, 0, 1), audit=verdict, **changes)
        made.predictions["test"].clean = np.asarray(clean)
        return made

    return make


def test_the_first_metric_is_shown_on_both_sets_of_samples(record):
    (table,) = build_leaderboard([record()]).tables
    assert (table.test_samples, table.clean_samples) == (4, 3)
    (row,) = table.rows
    assert row.cells["accuracy"].mean == pytest.approx(3 / 4)
    assert row.clean_cells["accuracy"].mean == pytest.approx(2 / 3)
    assert row.cells["balanced_accuracy"].mean == pytest.approx((1 + 1 / 2) / 2)
    assert row.clean_cells["balanced_accuracy"].mean == pytest.approx((1 + 0) / 2)
    text = format_leaderboard(build_leaderboard([record()]), "github")
    assert "balanced accuracy (4) ↑" in text
    assert "clean (3) ↑" in text


def test_a_class_without_clean_samples_is_left_out_and_named(record):
    board = build_leaderboard([record(clean=(True, True, False, False))])
    (row,) = board.tables[0].rows
    assert row.clean_cells["balanced_accuracy"].mean == 1
    assert math.isnan(row.clean_cells["macro_auroc"].mean)
    assert "No clean test sample is of class b" in format_leaderboard(board, "plain")


def test_without_copies_there_is_one_column(record):
    board = build_leaderboard([record(clean=(True,) * 4)])
    assert board.tables[0].rows[0].clean_cells == {}
    assert "clean" not in format_leaderboard(board, "github").splitlines()[2]


@pytest.mark.parametrize("style", ["github", "plain", "latex", "html"])
def test_kept_copies_mark_every_number(record, style):
    board = build_leaderboard([record(audit={"copies": "keep", "dropped": 0})])
    mark = r"$^\dagger$" if style == "latex" else "†"
    text = format_leaderboard(board, style)
    row = next(line for line in text.splitlines() if "tiny@scratch" in line)
    # Two columns of the first metric, and five more.
    assert row.count(mark) == 7


def test_marks_are_data_too(record):
    board = build_leaderboard([record(audit={"copies": "keep", "pretraining": ["figshare"]})])
    assert board.tables[0].rows[0].marks == "†‡"
    (line,) = csv.DictReader(io.StringIO(format_leaderboard(board, "csv")))
    assert line["marks"] == "†‡"
    assert float(line["accuracy_clean_mean"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Audit: 1 of 4 test samples has a copy, or another image of their patient, in "),
        ({}, "2 samples were dropped from training and validation, so that no parts share"),
        (KEPT, "† Nothing was dropped (copies = keep): 1 of 4 test samples has a copy"),
        ({"dropped": 1}, "1 sample was dropped from training and validation, so"),
        (KEPT | {"clean": 4, "shared_with_validation": 3}, "and 3 validation samples in training"),
        (KEPT | {"clean": 4}, "(copies = keep), and no parts share a copy or a patient."),
        (ALONE, "Audit: 2 samples form 1 cluster of copies, none of which stands in two parts."),
        (ALONE | {"clusters": 0}, "Audit: No copies among the samples. Split 01234567."),
        ({"clean": 4}, "Audit: 2 samples were dropped"),
        (ALONE | {"audited": False}, "Audit: Copies cannot be looked for in these data."),
        (KEPT | {"audited": False}, "† Nothing was dropped"),
    ],
)
def test_the_verdict_in_one_line(changes, expected):
    assert expected in verdict_line(VERDICT | changes, "†")


def test_files_without_a_verdict_say_so():
    assert "did not audit" in verdict_line({})
    assert not flattered({})


def test_several_folds_are_told_in_one_line(record):
    """Samples are counted over the folds, and a dagger is never left unexplained."""
    one = record(audit=KEPT, fold=0, folds=2, scheme="kfold")
    other = record(clean=(True,) * 4, audit=KEPT, fold=1, folds=2, scheme="kfold")
    for name in ("id", "patient"):
        setattr(other.predictions["test"], name, ["t0", "t1", "t2", "t3"])
    board = build_leaderboard([one, other])
    (table,) = board.tables
    assert (table.test_samples, table.clean_samples) == (8, 7)
    text = format_leaderboard(board, "github")
    assert "8 test samples (7 clean)" in text
    assert "† Nothing was dropped (copies = keep): 1 of 8 test samples over 2 folds" in text
    assert text.count("Audit:") == 1


def test_clean_means_over_different_classes_are_not_averaged(record):
    one = record(clean=(True, True, False, False), fold=0, folds=2)
    other = record(clean=(False, False, True, True), fold=1, folds=2)
    (table,) = build_leaderboard([one, other]).tables
    cell = table.rows[0].clean_cells["balanced_accuracy"]
    assert math.isnan(cell.mean)
    assert any("clean test samples of the folds are of different classes" in n for n in table.notes)
    assert not math.isnan(table.rows[0].clean_cells["accuracy"].mean)


def test_trials_of_different_divisions_are_not_ranked_in_silence(record):
    trials = [record(backbone="a"), record(backbone="b", audit={"split": "f" * 16})]
    (table,) = build_leaderboard(trials).tables
    assert any("trained on different samples" in note for note in table.notes)
