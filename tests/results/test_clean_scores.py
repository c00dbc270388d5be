"""Scores on all test samples and on the clean ones, marks, and the verdict's line."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from mritk.audit.verdict import flattered, verdict_line
from mritk.cards.card_metrics import card_metrics
from mritk.evaluate.metrics import find_metric
from mritk.results import trial_facts
from mritk.results.clean_support import ALL, CleanSupport, counts_of
from mritk.results.footnotes import footnotes
from mritk.results.formats import as_data, format_leaderboard
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions
from mritk.tasks.classification import Classification

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
MADE = {"findings": [{"level": "note", "kind": "made", "text": "6 samples made", "count": 6}]}
ABC = Classification(("a", "b", "c"))
TWO = '{"split":{"repeats":2}}'
ALONE = {"clean": 4, "dropped": 0}


MANY = 6


@pytest.fixture
def record(make_record):
    """Six each of the targets 0, 0, 1, 1; the third six are predicted wrong, the last not clean.

    Each sample is a unit, unless ``units`` names others.
    """

    def make(clean=(True, True, True, False), *, first="s", units=None, **changes):
        verdict = VERDICT | {"clean": min(sum(clean), 4)} | changes.pop("audit", {})
        clean = np.repeat(clean, MANY) if len(clean) == 4 else np.asarray(clean)
        ids = [f"{first}{i:02d}" for i in range(4 * MANY)]
        test = Predictions(
            id=ids,
            patient=[f"patient {name}" for name in ids],
            site=[""] * len(ids),
            source=[""] * len(ids),
            target=np.repeat((0, 0, 1, 1), MANY),
            score=np.eye(2, dtype=np.float32)[np.repeat((0, 0, 0, 1), MANY)],
            clean=clean,
            unit=units or ids,
        )
        return make_record(audit=verdict, predictions={"val": test, "test": test}, **changes)

    return make


def clean_of(board):
    """Return the clean part of the only row, and the support of its table, as data."""
    (table,) = as_data(board)["tables"]
    return table["rows"][0]["clean_metrics"], table["clean_support"]


def test_the_first_metric_is_shown_on_both_sets_of_samples(record):
    (table,) = build_leaderboard([record()]).tables
    assert (table.test_samples, table.clean_samples) == (24, 18)
    (row,) = table.rows
    assert row.cells["accuracy"].mean == pytest.approx(3 / 4)
    assert row.clean_cells["accuracy"].mean == pytest.approx(2 / 3)
    assert row.cells["balanced_accuracy"].mean == pytest.approx((1 + 1 / 2) / 2)
    assert row.clean_cells["balanced_accuracy"].mean == pytest.approx((1 + 0) / 2)
    text = format_leaderboard(build_leaderboard([record()]), "github")
    assert "balanced accuracy (24) ↑" in text
    assert "clean (18) ↑" in text
    assert "Clean test samples (patients): a 12 (12), b 6 (6)." in text
    assert "a clean score requires" not in text, "all of it is"


def test_rows_whose_clean_samples_differ_say_so(record):
    """Rows that were given fewer training samples have more clean test samples."""
    pair = [record(backbone="few"), record((True, False, True, False), backbone="all")]
    (table,) = build_leaderboard(pair).tables
    (line,) = [line for line in footnotes(table) if "differ in which test samples" in line]
    assert "all 12, few 18" in line or "few 18, all 12" in line
    alike = [record(backbone=name, id=name) for name in ("few", "all")]
    (table,) = build_leaderboard(alike).tables
    assert not any("differ in which test samples" in line for line in footnotes(table))


# -- support ---------------------------------------------------------------------------------------


def only(of_b):
    """All of class a clean, and so many of class b."""
    return [True] * (2 * MANY) + [i < of_b for i in range(2 * MANY)]


@pytest.mark.parametrize("of_b", [0, 1, 4])
def test_a_mean_over_classes_is_withheld_where_one_has_too_few_units(record, of_b):
    """0 of 2 would be a class's share of the mean, with no variance at all."""
    board = build_leaderboard([record(only(of_b))])
    clean, support = clean_of(board)
    assert clean["balanced_accuracy"]["mean"] is None
    assert clean["balanced_accuracy"]["values"] == [None]
    assert clean["balanced_accuracy"]["interval"] is None
    assert clean["balanced_accuracy"]["reason"] == "too few clean groups: b < 5"
    assert support["classes"]["b"] == {"samples": of_b, "units": of_b}
    text = format_leaderboard(board, "plain")
    assert "– (b < 5)" in text
    assert f"Clean test samples (patients): a 12 (12), b {of_b} ({of_b})." in text
    assert "requires at least 5 clean patients of each class" in text
    assert "nan" not in text


def test_five_units_are_enough(record):
    clean, support = clean_of(build_leaderboard([record(only(5))]))
    assert clean["balanced_accuracy"]["mean"] == pytest.approx(1 / 2), "none of b is right"
    assert support == {
        "units": 17,
        "least_units": 5,
        "classes": {"a": {"samples": 12, "units": 12}, "b": {"samples": 5, "units": 5}},
    }


def test_units_count_and_not_samples(record):
    """Twelve images of class b, all copies of four."""
    units = [f"a{i}" for i in range(2 * MANY)] + [f"b{i % 4}" for i in range(2 * MANY)]
    clean, support = clean_of(build_leaderboard([record(only(2 * MANY - 1), units=units)]))
    assert support["classes"]["b"] == {"samples": 11, "units": 4}
    assert clean["balanced_accuracy"]["mean"] is None


def test_a_score_that_is_no_mean_over_classes_wants_five_units_in_all(record):
    clean, _ = clean_of(build_leaderboard([record(only(1))]))
    assert clean["accuracy"]["mean"] == pytest.approx(12 / 13)
    few = [True] * 4 + [False] * (4 * MANY - 4)
    board = build_leaderboard([record(few)], sort="accuracy")
    clean, support = clean_of(board)
    assert clean["accuracy"]["mean"] is None
    assert support["units"] == 4
    assert "– (groups < 5)" in format_leaderboard(board, "plain")
    assert "at least 5 clean patients in all" in format_leaderboard(board, "plain")


def test_units_of_the_folds_of_a_run_add_up_and_those_of_repeats_do_not(record):
    """Three of class b in each fold: six in a division, however often it is drawn."""
    folds = [
        record(only(3), first="st"[fold % 2], fold=fold, folds=4, scheme="kfold", protocol_json=TWO)
        for fold in range(4)
    ]
    for number, of_b in ((4, 6), (1, 3)):
        clean, support = clean_of(build_leaderboard(folds[:number]))
        assert support["classes"]["b"] == {"samples": of_b, "units": of_b}
        assert (clean["balanced_accuracy"]["mean"] is None) == (of_b < 5)


def test_a_class_that_is_not_tested_at_all_is_not_asked_for(record):
    """Where a site has no sample of it, the first column leaves it to other folds too."""
    counts = counts_of(record().predictions["test"], ABC)
    assert [k for k, *_ in counts] == [ALL, 0, 1], "and no c"
    support = CleanSupport.of([(0, counts)])
    assert support.short_of(find_metric("balanced_accuracy")) == []


def test_of_several_divisions_the_one_of_the_fewest_units_counts():
    """Many samples of few patients are no support."""
    support = CleanSupport.of([(0, ((ALL, 10, 2),)), (1, ((ALL, 8, 8),))])
    assert support.counts == {ALL: (10, 2)}
    assert support.short_of(find_metric("balanced_accuracy")) == [ALL]


def test_many_short_classes_are_counted():
    counts = CleanSupport({ALL: (9, 9), 0: (3, 3), 1: (3, 3), 2: (3, 3)})
    found = counts.withheld(find_metric("balanced_accuracy"), ABC)
    assert found == "3 classes < 5"


def test_the_support_survives_in_the_index_of_a_folder(record):
    """Tables are made of what the index tells, without a file being opened."""
    tested = trial_facts.TrialFacts.of(record(only(3))).test
    assert trial_facts.tested_from_json(trial_facts.tested_as_json(tested)) == tested
    assert tested.support == ((ALL, 15, 15), (0, 12, 12), (1, 3, 3))


def test_the_card_of_a_trial_withholds_what_the_table_does(record):
    found = {one.metric.name: one for one in card_metrics(record(only(3)))}
    assert found["balanced_accuracy"].clean.reason == "b < 5"
    assert math.isnan(found["balanced_accuracy"].clean.value)
    assert found["accuracy"].clean.value == pytest.approx(12 / 15)


# -- marks and verdicts ----------------------------------------------------------------------------


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
        (
            {},
            "Audit: 1 of 4 test samples has a duplicate, or another image of the same patient, in ",
        ),
        (
            {},
            "2 samples were dropped from training and validation, so that no duplicate or patient",
        ),
        (KEPT, "† Nothing was dropped (copies = keep): 1 of 4 test samples has a duplicate"),
        ({"dropped": 1}, "1 sample was dropped from training and validation, so"),
        (KEPT | {"clean": 4, "shared_with_validation": 3}, "and 3 validation samples in training"),
        (KEPT | {"clean": 4}, "(copies = keep); no duplicate or patient is shared between splits."),
        (ALONE, "Audit: 2 samples form 1 cluster of duplicates, none shared between splits."),
        (ALONE | {"clusters": 0}, "Audit: No duplicates among the samples. Split 01234567."),
        ({"clean": 4}, "Audit: 2 samples were dropped"),
        (ALONE | {"audited": False}, "Audit: These data cannot be searched for duplicates."),
        (KEPT | {"audited": False}, "† Nothing was dropped"),
        (MADE, "2 samples were dropped from training and validation, because they were made from "),
        (MADE, "test or validation samples, or share a duplicate or patient with them."),
        (MADE | {"copies": "keep"}, "† No duplicate was dropped (copies = keep): 1 of 4 test "),
        (MADE | {"copies": "keep"}, "were made from test or validation samples. Split"),
    ],
)
def test_the_verdict_in_one_line(changes, expected):
    assert expected in verdict_line(VERDICT | changes, "†")


def test_files_without_a_verdict_say_so():
    assert "without audit" in verdict_line({})
    assert not flattered({})


def test_several_folds_are_told_in_one_line(record):
    """Samples are counted over the folds, and a dagger is never left unexplained."""
    given = {"audit": KEPT, "folds": 2, "scheme": "kfold"}
    other = record(clean=(True,) * 4, first="t", fold=1, **given)
    board = build_leaderboard([record(fold=0, **given), other])
    (table,) = board.tables
    assert (table.test_samples, table.clean_samples) == (48, 42)
    text = format_leaderboard(board, "github")
    assert "48 test samples (42 clean)" in text
    assert "† Nothing was dropped (copies = keep): 1 of 8 test samples over 2 folds" in text
    assert text.count("Audit:") == 1


def test_folds_of_equal_counts_are_told_as_one(record):
    """As draws of training samples for a test set that is prescribed."""
    given = {"audit": KEPT, "folds": 2, "scheme": "kfold"}
    (table,) = build_leaderboard([record(fold=fold, **given) for fold in range(2)]).tables
    assert "1 of 4 test samples in each of 2 folds has a duplicate" in table.verdict


def test_clean_means_over_different_classes_are_not_averaged(record):
    one = record(clean=(True, True, False, False), fold=0, folds=2)
    other = record(clean=(False, False, True, True), fold=1, folds=2)
    (table,) = build_leaderboard([one, other]).tables
    cell = table.rows[0].clean_cells["balanced_accuracy"]
    assert math.isnan(cell.mean)
    told = " ".join(footnotes(table))
    assert "folds differ in the classes of their clean test samples" in told
    assert not math.isnan(table.rows[0].clean_cells["accuracy"].mean)


def test_trials_of_different_divisions_are_not_ranked_in_silence(record):
    trials = [record(backbone="a"), record(backbone="b", audit={"split": "f" * 16})]
    (table,) = build_leaderboard(trials).tables
    assert any("different training samples" in note for note in footnotes(table))


def with_copies(record, *, split, **changes):
    """Return a trial on the same data with copies, and another division for that."""
    made = {"dataset": "bands", "fingerprint": "d" * 64, "by": "augmented,copies=2"}
    trial = record(audit=MADE | {"split": split}, **changes)
    trial.provenance = {"made_from": made}
    return trial


def test_copies_made_before_training_are_no_other_division(record):
    (table,) = build_leaderboard([record(), with_copies(record, split="e" * 16)]).tables
    assert len(table.rows) == 2
    assert not any("different training samples" in note for note in footnotes(table))
    for name, split in (("fast", "01234567"), ("fast with augmented,copies=2", "eeeeeeee")):
        (_, found) = table.verdict.split(f"Audit of {name}: ")
        assert f"Split {split}." in found.partition(" Audit of")[0]


def test_divisions_that_differ_beside_copies_are_told(record):
    trials = [with_copies(record, seed=seed, split=str(seed) * 16) for seed in range(2)]
    (table,) = build_leaderboard(trials).tables
    assert any("different training samples" in note for note in footnotes(table))
