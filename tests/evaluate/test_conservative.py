"""Which intervals say that they may cover more than 95 %: few errors, small cohorts in folds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evidence.worlds import DRAWN, TRAINED
from mritk.evaluate.conservative import why_conservative
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.run_values import Scored

BALANCED, ACCURACY = find_metric("balanced_accuracy"), find_metric("accuracy")
FEW_WRONG, FEW_CORRECT = "fewer than 8 wrong predictions", "fewer than 8 correct predictions"


def scored(of_class, wrong, run=(0, 0), fold=0, first=0) -> Scored:
    """One image per patient; ``wrong`` of the ``of_class`` patients of each class are wrong."""
    target = np.repeat(np.arange(len(of_class)), of_class)
    missed = np.concatenate([np.arange(n) < bad for n, bad in zip(of_class, wrong, strict=True)])
    decided = np.where(missed, (target + 1) % len(of_class), target)
    score = np.eye(len(of_class), dtype=np.float32)[decided] * 2
    return Scored(run, fold, target, score, [f"p{first + n}" for n in range(len(target))])


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ((1, 2, 2, 2), FEW_WRONG),
        ((2, 2, 2, 2), ""),
        ((23, 23, 23, 23), ""),
        ((24, 23, 23, 23), FEW_CORRECT),
    ],
)
def test_of_equal_classes_errors_are_counted(wrong, expected):
    assert why_conservative([scored((25,) * 4, wrong)], BALANCED) == expected


def test_an_error_in_a_small_class_weighs_more():
    """Of weights 8 × 1/40 and 1 × 1/10, Kish's number is 0.3² / (8/1600 + 1/100) = 6."""
    row = [scored((40, 10), (8, 1))]
    assert why_conservative(row, BALANCED) == FEW_WRONG
    assert why_conservative(row, ACCURACY) == ""


def test_errors_are_the_mean_over_runs():
    runs = [scored((50, 50), wrong, (seed, 0)) for seed, wrong in enumerate([(2, 2), (6, 6)])]
    assert why_conservative(runs, BALANCED) == ""
    assert why_conservative(runs[:1], BALANCED) == FEW_WRONG


@pytest.mark.parametrize("name", ["mcc", "kappa", "macro_f1", "macro_ppv"])
def test_other_metrics_of_decisions_are_as_conservative(name):
    assert why_conservative([scored((50, 50), (2, 2))], find_metric(name)) == FEW_WRONG


@pytest.mark.parametrize("name", ["log_loss", "brier", "macro_auroc"])
def test_metrics_of_probabilities_take_more_than_a_few_values(name):
    row = scored((50, 50), (2, 2))
    noise = np.random.default_rng(0).normal(size=row.score.shape) / 10
    unsure = Scored(row.run, 0, row.target, row.score + noise, row.unit)
    assert why_conservative([unsure], find_metric(name)) == ""
    assert why_conservative([unsure], ACCURACY) == FEW_WRONG


def test_values_have_no_errors():
    row = Scored((0, 0), 0, np.arange(9.0), np.arange(9.0), [f"p{n}" for n in range(9)])
    assert why_conservative([row], find_metric("mae")) == ""


def folds(count, patients, repeats=1):
    """Two classes of ``patients`` in each fold, a third of which are wrong."""
    return [
        scored((patients // 2,) * 2, (patients // 6,) * 2, (0, repeat), number, fold * patients)
        for repeat in range(repeats)
        for fold in range(count)
        for number in [repeat * count + fold]
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (folds(4, 12), "fewer than 50 patients (or duplicate groups) in folds"),
        (folds(5, 12), ""),
        (folds(12, 8), "fewer than 10 patients (or duplicate groups) per fold"),
        (folds(4, 12, repeats=2), ""),
    ],
    ids=["48 patients", "60 patients", "8 in each of 12 folds", "divided twice"],
)
def test_small_cohorts_in_folds_of_one_division(row, expected):
    assert why_conservative(row, BALANCED) == expected


@pytest.mark.parametrize(("draws", "expected"), [(3, "few draws of the hold-out part"), (10, "")])
def test_few_draws_of_a_hold_out_part(draws, expected):
    """60 patients, of whom a fifth is tested at a time."""
    rng = np.random.default_rng(0)
    target = np.arange(12) % 2
    score = np.eye(2)[np.where(np.arange(12) < 8, target, 1 - target)]
    row = [
        Scored((0, 0), draw, target, score, [f"p{i}" for i in rng.choice(60, 12, replace=False)])
        for draw in range(draws)
    ]
    assert why_conservative(row, find_metric("log_loss")) == expected


def test_an_official_test_part_is_no_fold():
    again = [scored((20, 20), (8, 8), (0, number), number) for number in (0, 1)]
    assert why_conservative(again, BALANCED) == ""


def test_only_students_interval_has_it():
    rows = {"net": [scored((25, 25), (2, 2), (seed, 0)) for seed in (0, 1)]}
    found = {
        method: Evidence(rows, [BALANCED], 100, method).interval("net", BALANCED)
        for method in ("student", "percentile")
    }
    assert {name: i.conservative for name, i in found.items()} == {
        "student": FEW_WRONG,
        "percentile": "",
    }


def share_of(world, tables=20):
    """The share of rows of simulated tables that are called conservative."""
    rows = [row for seed in range(tables) for row in world.table(seed).values()]
    return np.mean([bool(why_conservative(row, BALANCED)) for row in rows])


@pytest.mark.parametrize(
    "name",
    [
        "recall 0.97, 1 image, 1 run",
        "the same, recall 0.9",
        "24 patients, 3 classes, 5 folds, 2 seeds",
        "40 patients, 4 classes, 10 folds",
        "60 patients, 3 classes, 10 folds",
    ],
)
def test_rows_of_the_worlds_that_are_covered_too_often_say_so(name):
    """Those of docs/statistics.md that are not supported as 95 %."""
    assert share_of({**TRAINED, **DRAWN}[name]) > 0.9


@pytest.mark.parametrize(
    "name",
    [
        "100 patients × 5 images, 3 runs",
        "300 patients × 1 image",
        "recall 0.95",
        "an unstable row of 4",
        "60 patients, 3 classes, 5 folds",
        "100 patients, 4 classes, 10 folds",
    ],
)
def test_rows_of_worlds_that_are_covered_as_told_do_not(name):
    assert share_of({**TRAINED, **DRAWN}[name], tables=5) < 0.1
