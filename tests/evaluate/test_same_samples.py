"""A metric that leaves out cases where a model fails does not call the one that fails better.

Nor does a mean over folds, of which one may have no case with a value.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from mritk.evaluate.comparison import Verdict
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.measured import measured
from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.run_values import Scored
from mritk.evaluate.same_samples import other_samples
from mritk.tasks.segmentation import Segmentation

CASES = 40
DICE, HD95 = find_metric("dice"), find_metric("hd95")


def scores(seed: int) -> np.ndarray:
    """Dice and HD95 of one region, of cases that are easy for all or hard for all."""
    rng = np.random.default_rng(seed)
    distance = np.linspace(1, 20, CASES) + rng.normal(0, 0.3, CASES)
    return np.stack([1 - distance / 40, distance], axis=1)


def without(found: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The same where the region was not predicted in some cases."""
    found = found.copy()
    found[rows] = [0.0, math.nan]
    return found


def compared(metric, of_row):
    units = [f"p{number}" for number in range(CASES)]
    rows = {
        name: [Scored((seed, 0), 0, np.zeros(CASES), of_row(name, seed), units) for seed in (1, 2)]
        for name in ("whole", "gives up")
    }
    evidence = Evidence(rows, [metric], 200)
    return evidence, evidence.all_pairs(metric)[0]


def gives_up(name, seed):
    found = scores(seed + 10 * (name == "whole"))
    return without(found, np.arange(30, CASES)) if name == "gives up" else found


def test_a_row_without_distances_where_it_is_hard_is_not_called_better():
    evidence, found = compared(HD95, gives_up)
    assert found.difference > 2, "it has the shorter distances"
    assert (found.tested, found.verdict) == (False, Verdict.CANNOT_TELL)
    assert found.untested == found.interval.reason
    assert "leaves out 20 cases of one row only" in found.untested, "10 in each of two runs"
    assert evidence.interval("gives up", HD95).low > 0, "each row has its own interval"


def test_its_dice_is_worse_since_what_is_not_predicted_counts_as_zero():
    _, found = compared(DICE, gives_up)
    assert found.tested and found.verdict is Verdict.BETTER, "the first is the whole one"


def test_rows_that_leave_out_the_same_cases_are_compared():
    absent = np.asarray([0, 7])
    _, found = compared(
        HD95, lambda name, seed: without(scores(seed + 10 * (name == "whole")), absent)
    )
    assert found.tested and not found.untested


def gap_in_size(predicted, reference, spacing):
    """Infinite where nothing was predicted, as distances of surfaces often are."""
    return abs(int(predicted.sum()) - int(reference.sum())) if predicted.any() else math.inf


def test_a_row_is_not_better_for_measures_that_are_infinite_where_it_predicts_nothing():
    metric = Metric("gap", "gap", False, measure=gap_in_size, task="segmentation")
    task, sizes = Segmentation(("background", "tumour")), range(2, 12)
    true = [np.arange(20) < size for size in sizes]
    found = {
        "whole": [np.arange(20) < 2 * size - 1 for size in sizes],
        "gives up": [region & (size < 5) for region, size in zip(true, sizes, strict=True)],
    }
    units, rows = [f"p{size}" for size in sizes], {}
    for name, regions in found.items():
        scores = measured(metric, task, regions, true, [None] * len(true))
        rows[name] = [
            Scored((0, 0), 0, np.zeros(len(true)), scores, units, None, lambda m, s=scores: s)
        ]
    assert np.isnan(rows["gives up"][0].score).sum() == 7, "counted as undefined below tables"
    (pair,) = Evidence(rows, [metric], 200, given_these_models=True).all_pairs(metric)
    assert pair.verdict is Verdict.CANNOT_TELL
    assert "leaves out 7 cases of one row only" in pair.untested


def test_a_measure_with_a_worst_value_is_compared_although_rows_lack_different_cases():
    share = Metric("s", "s", True, measure=gap_in_size, task="segmentation", bounds=(0, 1))
    assert share.left_out is None


def test_metrics_of_classes_and_of_values_leave_nothing_out():
    assert other_samples(find_metric("mae"), []) == ""
    assert find_metric("balanced_accuracy").left_out is None


def test_trials_of_different_numbers_of_cases_are_not_compared():
    pair = [Scored((0, 0), 0, np.zeros(n), scores(0)[:n], ["p"] * n) for n in (CASES, CASES - 1)]
    assert "different cases" in other_samples(HD95, [(pair[0], pair[1])])


def test_a_patient_who_keeps_one_of_two_cases_has_lost_the_other():
    whole, cases = scores(0)[:2], scores(0)[:4]
    lost = without(cases, np.asarray([1]))
    one, other = (Scored((0, 0), 0, np.zeros(2), whole, ["a", "b"], all_) for all_ in (cases, lost))
    assert other_samples(HD95, [(one, one)]) == ""
    assert "leaves out 1 case of one row only" in other_samples(HD95, [(one, other)])


FOLDS = 4


def in_folds(lost=(), *, seeds=(0,), shift=0.0):
    """Trials of a row, each fold with a fourth of the cases; ``lost`` lacks a value in all."""
    trials = []
    for seed in seeds:
        whole = scores(seed)
        for fold in range(FOLDS):
            rows = np.arange(fold, CASES, FOLDS)
            score = whole[rows] * [1 - shift / 5, 1 + shift]
            if (seed, fold) in lost:
                score = np.full_like(score, math.nan)
            trials.append(
                Scored((seed, 0), fold, np.zeros(len(rows)), score, [f"p{row}" for row in rows])
            )
    return trials


def kept(trials, lost):
    return [trial for trial in trials if (trial.run[0], trial.fold) not in lost]


@pytest.mark.parametrize("metric", [DICE, HD95], ids=["dice", "hd95"])
def test_a_mean_over_cases_is_over_the_folds_that_have_one(metric):
    lost = [(0, 1)]
    rows = {"one": in_folds(lost), "other": in_folds(lost, shift=0.5)}
    found = Evidence(rows, [metric], 500)
    expected = Evidence({name: kept(row, lost) for name, row in rows.items()}, [metric], 500)
    for name in rows:
        assert found.estimate(name, metric).point == expected.estimate(name, metric).point
        assert found.estimate(name, metric).point in found.interval(name, metric)
    (pair,), (alone,) = found.all_pairs(metric), expected.all_pairs(metric)
    assert pair.difference == alone.difference
    assert pair.tested and alone.tested


def test_seeds_without_any_value_are_left_out_of_the_mean_over_seeds():
    lost = [(2, fold) for fold in range(FOLDS)] + [(1, 3)]
    trials = in_folds(lost, seeds=(0, 1, 2))
    found = Evidence({"one": trials}, [HD95], 100).estimate("one", HD95).point
    of_seeds = [
        np.mean([np.mean(t.score[:, 1]) for t in kept(trials, lost) if t.run[0] == seed])
        for seed in (0, 1)
    ]
    assert found == pytest.approx(np.mean(of_seeds))


@pytest.mark.parametrize("metric", [DICE, HD95], ids=["dice", "hd95"])
def test_rows_that_have_values_in_different_folds_are_not_tested(metric):
    rows = {"whole": in_folds(shift=0.5), "gives up": in_folds([(0, 3)])}
    evidence = Evidence(rows, [metric], 200)
    (pair,) = evidence.all_pairs(metric)
    assert not pair.tested
    assert pair.interval.reason == pair.untested
    assert "of one row only" in pair.untested
    both = Evidence({name: kept(row, [(0, 3)]) for name, row in rows.items()}, [metric], 200)
    assert pair.difference == both.all_pairs(metric)[0].difference, "on folds that both define"


def test_rows_without_a_fold_in_common_that_has_a_value_are_not_tested():
    lost = [(0, 0), (0, 1)], [(0, 2), (0, 3)]
    rows = {name: in_folds(of) for name, of in zip("ab", lost, strict=True)}
    (pair,) = Evidence(rows, [DICE], 100).all_pairs(DICE)
    assert not pair.tested
    assert "Dice is undefined in 4 trials of one row only" in pair.reason


def test_other_metrics_that_a_fold_leaves_undefined_have_no_mean():
    r2 = find_metric("r2")
    trials = [
        Scored((0, 0), fold, target, target + 0.1, [f"{fold}{i}" for i in range(4)])
        for fold, target in enumerate([np.arange(4.0), np.ones(4)])
    ]
    assert math.isnan(Evidence({"one": trials}, [r2], 100).estimate("one", r2).point)


def test_a_fold_without_a_value_has_no_part_in_the_variance():
    """As if it had not been tested; its cases are not taken for cases that are all alike."""
    lost = {(seed, 3) for seed in (0, 1, 2)}
    trials = in_folds(lost, seeds=(0, 1, 2))
    tested = [trial for trial in trials if trial.fold != 3]
    found, without_it = (Evidence({"row": row}, [DICE]) for row in (trials, tested))
    assert found.interval("row", DICE).standard_error == pytest.approx(
        without_it.interval("row", DICE).standard_error, rel=0.05
    )


def test_a_resample_without_the_only_case_of_a_fold_leaves_the_fold_out():
    """As the mean itself does where the fold has none."""
    trials = in_folds()
    trials[3].score[1:] = math.nan
    found = Evidence({"row": trials}, [DICE]).interval("row", DICE)
    assert not found.reason and found.degenerate == 0
