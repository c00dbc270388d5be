"""How a division looks: numbers for programs, lines for people."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from mritk import Classification, Regression, Samples, Unlabelled
from mritk.splits.balance import balance, balance_text, lone_tests, worst_imbalance
from mritk.splits.fold import Fold
from mritk.splits.splits import SplitRule, make_folds


def samples_of(targets, classes=("glioma", "none"), **columns) -> Samples:
    targets = np.asarray(targets)
    task = Regression("years") if targets.dtype.kind == "f" else Classification(classes)
    return Samples(
        ids=[f"s{i:03d}" for i in range(len(targets))],
        targets=targets,
        task=task,
        read=lambda i: np.zeros((2, 2), np.uint8),
        **columns,
    )


def fold_of(train, val, test, dropped=(), unused=()) -> Fold:
    parts = [np.asarray(list(part), dtype=np.int64) for part in (train, val, test, dropped, unused)]
    return Fold(*parts, clean=np.ones(len(parts[2]), bool))


def test_each_part_is_a_row_of_counts():
    samples = samples_of(
        [0, 0, 1, 0, 1, 1, 0, 1],
        patients=["p0", "p0", "p1", "p2", "p3", "p4", "p5", "p6"],
        sites=["a", "a", "b", "a", "a", "b", "a", "a"],
    )
    rows = balance(samples, fold_of([0, 1, 2], [3, 4], [5], dropped=[6], unused=[7]))
    assert rows[0] == {
        "part": "train",
        "samples": 3,
        "patients": 2,
        "sites": 2,
        "classes": {"glioma": 2, "none": 1},
    }
    assert [(row["part"], row["samples"]) for row in rows] == [
        ("train", 3),
        ("val", 2),
        ("test", 1),
        ("dropped", 1),
        ("unused", 1),
    ]
    assert json.loads(json.dumps(rows)) == rows


def test_parts_that_are_empty_by_nature_have_no_row_and_unknown_columns_no_count():
    rows = balance(samples_of([0, 1, 0, 1]), fold_of([0, 1], [2], [3]))
    assert [row["part"] for row in rows] == ["train", "val", "test"]
    assert all(row["patients"] is None and row["sites"] is None for row in rows)


def test_samples_of_no_known_site_are_no_site():
    samples = samples_of([0, 1, 0, 1], sites=["a", "", "", ""], patients=["p", "q", "r", "r"])
    fold = fold_of([0, 1], [2], [3])
    assert [row["sites"] for row in balance(samples, fold)] == [1, 0, 0]
    assert "site" not in lone_tests(samples, [fold])


def test_counts_add_up_to_the_whole():
    targets = np.random.default_rng(0).integers(0, 2, 200)
    samples = samples_of(targets, patients=[f"p{i // 3}" for i in range(200)])
    (fold,) = make_folds(samples, SplitRule("holdout", shots=10))
    rows = balance(samples, fold)
    for label, name in enumerate(samples.task.classes):
        assert sum(row["classes"][name] for row in rows) == (targets == label).sum()
    assert sum(row["patients"] for row in rows if row["part"] in ("val", "test")) < 67


def test_a_number_has_mean_and_standard_deviation():
    samples = samples_of([10.0, 20.0, 30.0, 40.0, 50.0])
    train, val, test = balance(samples, fold_of([0, 1, 2], [3], [4]))
    assert (train["mean"], train["sd"]) == (20.0, 10.0)
    assert (val["mean"], val["sd"]) == (40.0, None)
    assert "classes" not in test


def test_the_imbalance_is_the_largest_difference_of_a_share():
    samples = samples_of([0, 0, 0, 0, 1, 1, 1, 1])
    assert worst_imbalance(samples, fold_of([0, 1, 4, 5], [2, 6], [3, 7])) == 0
    assert worst_imbalance(samples, fold_of([0, 4, 5, 6], [1, 7], [2, 3])) == 0.5
    # What is left out of training does not count, what it leaves behind does.
    uneven = fold_of([0, 1, 2, 4], [5], [3, 6], dropped=[7])
    assert worst_imbalance(samples, uneven) == 0.5


def test_the_imbalance_of_a_number_is_the_kolmogorov_smirnov_distance():
    rng = np.random.default_rng(0)
    samples = samples_of(rng.normal(50, 10, 90).round())
    fold = fold_of(range(50), range(50, 70), range(70, 90))
    expected = [
        ks_2samp(samples.targets[rows], samples.targets).statistic
        for rows in (fold.train, fold.val, fold.test)
    ]
    assert worst_imbalance(samples, fold) == pytest.approx(max(expected))
    apart = fold_of(np.argsort(samples.targets)[:88], [88], [89])
    assert 0 <= worst_imbalance(samples, apart) <= 1


def test_a_stratified_split_is_well_balanced():
    samples = samples_of(np.repeat([0, 1], [300, 100]))
    (fold,) = make_folds(samples, SplitRule("holdout"))
    assert worst_imbalance(samples, fold) < 0.01


def test_a_line_per_part_is_for_people():
    samples = samples_of(
        np.repeat([0, 1], [146, 55]), patients=[f"p{i // 2}" for i in range(200)] + ["p99"]
    )
    fold = fold_of(range(148), range(148, 200), [200])
    assert balance_text(samples, fold).splitlines() == [
        "train 148 samples, 74 patients: glioma 99 %, none 1 %",
        "val 52 samples, 26 patients: glioma 0 %, none 100 %",
        "test 1 sample, 1 patient: glioma 0 %, none 100 %",
    ]


def test_a_class_that_is_there_is_never_shown_as_none():
    samples = samples_of(np.repeat([0, 1], [999, 1]), sites=["x"] * 1000)
    line = balance_text(samples, fold_of(range(1000), [0], [0])).splitlines()[0]
    assert line == "train 1000 samples, 1 site: glioma 100 %, none <1 %"


def test_many_classes_are_cut_and_numbers_have_their_unit():
    classes = tuple(f"class{i:02d}" for i in range(12))
    samples = samples_of(np.arange(24) % 12, classes)
    line = balance_text(samples, fold_of(range(24), [0], [0])).splitlines()[0]
    assert line.endswith("class07 8 %, and 4 classes more")
    ages = samples_of([10.0, 20.0, 30.0, 40.0, 50.0])
    assert balance_text(ages, fold_of([0, 1, 2], [3], [4])).splitlines() == [
        "train 3 samples: mean 20, sd 10 (years)",
        "val 1 sample: mean 40 (years)",
        "test 1 sample: mean 50 (years)",
    ]


def test_empty_parts_break_nothing():
    for samples in (samples_of([0, 1]), samples_of([1.0, 2.0])):
        fold = fold_of([0, 1], [], [])
        assert balance_text(samples, fold).splitlines()[1].startswith("val 0 samples: ")
        assert math.isfinite(worst_imbalance(samples, fold))


def test_samples_without_a_number_or_class_are_counted_alone():
    samples = Samples(["a", "b", "c"], np.zeros(0), Unlabelled(), lambda i: np.zeros((2, 2)))
    fold = fold_of([0], [1], [2])
    assert balance_text(samples, fold).splitlines()[0] == "train 1 sample"
    assert worst_imbalance(samples, fold) == 0


def test_folds_that_test_one_patient_are_named_with_their_site(make_samples):
    samples = make_samples(6, sites=["alone"] * 2 + ["large"] * 4)  # two samples of each patient
    assert lone_tests(samples, [fold_of([2, 3], [4], [0, 1]), fold_of([0], [1], [2, 5])]) == (
        "a single patient is tested in fold 0 (site alone), which counts in a mean over folds like "
        "any other; AUROC and correlations may have no value there"
    )
    each = [fold_of([1, 2], [3], [row]) for row in range(10)]
    found = lone_tests(make_samples(10, per_patient=None), each)
    assert found.startswith(
        "a single sample is tested in folds 0, 1, 2, 3, 4, 5, 6, 7 and 2 more, "
    )
    assert lone_tests(samples, [fold_of([0, 1], [2], [3, 4, 5])]) == ""
