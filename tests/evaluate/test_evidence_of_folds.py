"""Intervals and tests of cross-validation: folds that share training samples, or lack a class."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence.simulated import World
from benchmarks.evidence.trained_folds import Cohort
from mritk.evaluate.comparison import Verdict
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.fold_overlap import inflation
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.run_values import RunValues, Scored

BALANCED = find_metric("balanced_accuracy")


def kfold(right, patients, classes, folds, *, repeat=0, draw=0):
    """Trials of one run that is right on this share of patients; repeats divide otherwise."""
    rng = np.random.default_rng(draw)
    target = np.arange(patients) % classes
    shown = np.where(rng.random(patients) < right, target, (target + 1) % classes)
    fold = np.roll(np.arange(patients) // classes % folds, repeat)
    return [
        Scored(
            (0, repeat),
            folds * repeat + number,
            target[fold == number],
            np.eye(classes, dtype=np.float32)[shown[fold == number]],
            [f"p{i}" for i in np.flatnonzero(fold == number)],
        )
        for number in range(folds)
    ]


@pytest.mark.parametrize(("patients", "folds"), [(24, 5), (40, 10), (48, 5), (100, 10)])
def test_folds_with_one_patient_of_a_class_have_intervals_and_tests(patients, folds):
    rows = {name: kfold(0.8, patients, 4, folds, draw=i) for i, name in enumerate("ab")}
    evidence = Evidence(rows, [BALANCED])
    interval = evidence.interval("a", BALANCED)
    assert (interval.reason, interval.degenerate) == ("", 0)
    (pair,) = evidence.all_pairs(BALANCED)
    assert pair.tested
    assert not pair.interval.reason


def test_the_interval_of_folds_with_one_patient_of_a_class_is_that_of_the_pooled_classes():
    """Each fold tests one patient of each class: the recall of a class is a mean of patients."""
    trials = kfold(0.7, 40, 2, 20)
    target = np.concatenate([t.target for t in trials])
    right = np.concatenate([t.score.argmax(axis=1) for t in trials]) == target
    expected = math.sqrt(sum(right[target == k].var(ddof=1) / 20 for k in (0, 1))) / 2
    found = Evidence({"net": trials}, [BALANCED], 20_000).interval("net", BALANCED)
    assert found.standard_error == pytest.approx(expected * math.sqrt(inflation(20)), rel=0.03)


def test_only_trials_that_test_other_samples_share_training_samples():
    repeated = [t for r in range(3) for t in kfold(0.8, 60, 3, 5, repeat=r)]
    assert RunValues({"a": kfold(0.8, 60, 3, 5)}, [BALANCED]).parts == 5
    assert RunValues({"a": repeated}, [BALANCED]).parts == 5
    assert RunValues(World(runs=3).table(0), [BALANCED]).parts == 1
    given = {name: kfold(0.8, 60, 3, 5, draw=i) for i, name in enumerate("ab")}
    errors = [
        Evidence(given, [BALANCED], given_these_models=these).all_pairs(BALANCED)[0].interval
        for these in (False, True)
    ]
    ratio = errors[0].standard_error / errors[1].standard_error
    assert ratio >= math.sqrt(inflation(5)) * (1 - 1e-9)


def test_repeated_folds_have_intervals_and_tests():
    rows = {
        name: [t for r in range(2) for t in kfold(right, 48, 4, 5, repeat=r, draw=r)]
        for name, right in (("a", 0.9), ("b", 0.6))
    }
    evidence = Evidence(rows, [BALANCED])
    assert all(evidence.interval(name, BALANCED).reason == "" for name in rows)
    assert evidence.all_pairs(BALANCED)[0].tested


def test_small_hold_out_parts_that_are_drawn_again_have_intervals_and_tests():
    """Ten patients are tested at a time: hardly a resample leaves each draw all of its classes."""
    rows = Cohort(48, 4, 5, repeats=10, drawn=True).table(0)
    assert {len(trial.target) for trial in rows["one"]} == {10}
    evidence = Evidence(rows, [BALANCED])
    found = evidence.interval("one", BALANCED)
    assert (found.reason, found.degenerate) == ("", 0)
    means = [BALANCED.compute(trial.target, trial.score).value for trial in rows["one"]]
    assert evidence.estimate("one", BALANCED).point == pytest.approx(np.mean(means))
    assert evidence.all_pairs(BALANCED)[0].tested


def test_the_variance_of_a_difference_is_at_least_the_one_that_its_folds_show():
    """One seed of 5 folds, in the last of which one row has failed: few patients say otherwise."""
    rows = {"a": kfold(0.95, 100, 4, 5, draw=0), "b": kfold(0.95, 100, 4, 5, draw=1)}
    failed = rows["b"][-1]
    rows["b"][-1] = replace(failed, score=np.roll(failed.score, 1, axis=1))
    (pair,) = Evidence(rows, [BALANCED]).all_pairs(BALANCED)
    values = [[BALANCED.compute(t.target, t.score).value for t in rows[n]] for n in "ab"]
    differences = np.subtract(*values)
    assert pair.difference == pytest.approx(differences.mean())
    shown = math.sqrt(inflation(5) * differences.var(ddof=1) / 5)
    assert pair.interval.standard_error == pytest.approx(shown)
    assert pair.dof < 6, "four, and a little for the patients"
    assert pair.verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_auroc"])
def test_a_class_that_some_folds_lack_leaves_a_test(name):
    """One seed of 5 folds, three of which test the one patient each that they have of a class."""

    def without(fold):
        kept = np.flatnonzero((fold.target < 2) | ((fold.fold < 3) & (np.arange(12) < 3)))
        unit = [fold.unit[number] for number in kept]
        return replace(fold, target=fold.target[kept], score=fold.score[kept], unit=unit)

    shares = {"good": 0.95, "poor": 0.1}
    rows = {row: [without(f) for f in kfold(share, 60, 3, 5)] for row, share in shares.items()}
    assert [int((fold.target == 2).sum()) for fold in rows["good"]] == [1, 1, 1, 0, 0]
    (pair,) = Evidence(rows, [find_metric(name)]).all_pairs(find_metric(name))
    assert pair.tested
    assert pair.verdict is Verdict.BETTER
