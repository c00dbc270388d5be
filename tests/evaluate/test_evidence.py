"""Intervals that cover, and verdicts that do not see differences where there are none.

Tables are simulated with a known truth (benchmarks/evidence); docs/statistics.md has the numbers
of a longer run.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.evidence.calibration import Counts, cells, count
from benchmarks.evidence.simulated import World, by_rows
from benchmarks.evidence.trained_folds import Cohort
from mritk.evaluate.classification import CLASSIFICATION
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.resampling import Units
from mritk.evaluate.run_values import Scored

BALANCED = find_metric("balanced_accuracy")
WORLD = World(patients=60, images=6, classes=3, backbones=3, runs=3)


def counted(world, tables, **choices):
    (found,) = count(world, tables, 200, **choices).values()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "world",
    [
        World(patients=40, images=3, runs=2),
        World(patients=60, images=1, mean=2.4, runs=2),
        World(patients=16, classes=2, images=3, runs=2),
        Cohort(48, 4, 5),
    ],
    ids=["usual", "near the ceiling", "few patients", "folds"],
)
def test_intervals_cover_and_equal_rows_are_called_equal(world, monkeypatch):
    """Few tables of a fixed seed; docs/statistics.md has the rates of many."""
    monkeypatch.setattr("benchmarks.evidence.trained_folds.DRAWS", 100)
    found = counted(world, 25)
    assert min(found.told, found.tested) > 0.95
    assert found.covered >= 0.9
    assert found.false <= 0.05


@pytest.mark.slow
def test_a_bootstrap_of_images_does_not_cover():
    world = World(patients=40, images=10, backbones=4, runs=1)
    assert counted(world, 20, shown=by_rows).covered < 0.8
    assert counted(world, 20).covered > 0.9


def test_an_interval_of_patients_is_wider_than_one_of_images():
    table = World(images=10).table(0)
    patients = Evidence(table, [BALANCED]).interval("net0", BALANCED)
    images = Evidence(by_rows(table), [BALANCED]).interval("net0", BALANCED)
    assert patients.width > 1.3 * images.width


def one(target, predicted, unit=None, *, run=0, fold=0):
    """One trial of two classes that decides so."""
    target = np.asarray(target)
    names = [f"p{i}" for i in range(len(target))] if unit is None else [str(u) for u in unit]
    score = np.eye(2, dtype=np.float32)[np.asarray(predicted)]
    return Scored((run, 0), fold, target, score, names)


@pytest.mark.slow
def test_accuracy_of_one_image_per_patient_is_that_of_the_binomial():
    """Without strata to speak of, the standard error of a share is √(p (1 - p) / (n - 1))."""
    rng = np.random.default_rng(0)
    target = np.zeros(150, dtype=np.int64)
    target[:75] = 1
    predicted = np.where(rng.random(150) < 0.8, target, 1 - target)
    accuracy = find_metric("accuracy")
    evidence = Evidence({"net": [one(target, predicted)]}, [accuracy], 20_000)
    right = [np.mean(predicted[target == k] == k) for k in (0, 1)]
    expected = math.sqrt(sum(p * (1 - p) / 74 for p in right)) / 2
    interval = evidence.interval("net", accuracy)
    assert interval.standard_error == pytest.approx(expected, rel=0.03)


def test_copies_of_one_image_count_once():
    """Doubling every sample within its unit changes nothing."""
    rng = np.random.default_rng(3)
    target = np.arange(60) % 2
    predicted = np.where(rng.random(60) < 0.8, target, 1 - target)
    once = Evidence({"net": [one(target, predicted, range(60))]}, [BALANCED])
    unit = np.repeat(np.arange(60), 2)
    twice = Evidence({"net": [one(target[unit], predicted[unit], unit)]}, [BALANCED])
    ours, theirs = once.interval("net", BALANCED), twice.interval("net", BALANCED)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_the_order_of_rows_and_samples_changes_nothing():
    table = WORLD.table(0)
    order = np.random.default_rng(0).permutation(len(table["net0"][0].target))
    shuffled = {
        name: [
            Scored(t.run, t.fold, t.target[order], t.score[order], [t.unit[i] for i in order])
            for t in reversed(trials)
        ]
        for name, trials in reversed(table.items())
    }
    first, second = (Evidence(rows, [BALANCED], 300) for rows in (table, shuffled))
    for name in table:
        ours, theirs = (e.interval(name, BALANCED) for e in (first, second))
        assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.05)
        assert first.estimate(name, BALANCED).point == second.estimate(name, BALANCED).point


def test_folds_of_a_run_are_averaged_before_runs_are():
    """Three folds of two seeds: six trials, but two runs, and each patient tested once a run."""
    rng = np.random.default_rng(0)
    trials = []
    for seed in range(2):
        for fold in range(3):
            target = np.arange(40) % 2
            predicted = np.where(rng.random(40) < 0.8, target, 1 - target)
            unit = [f"{fold}-{i}" for i in range(40)]
            trials.append(one(target, predicted, unit, run=seed, fold=fold))
    evidence = Evidence({"net": trials}, [BALANCED])
    values = [BALANCED.compute(t.target, t.score).value for t in trials]
    assert evidence.estimate("net", BALANCED).point == pytest.approx(np.mean(values))
    assert len(evidence.units.sizes) == 6, "strata are class by fold"
    per_patient = math.sqrt(0.8 * 0.2 / 120 / 2)
    assert evidence.interval("net", BALANCED).standard_error < 2 * per_patient


def test_all_right_has_no_interval_rather_than_one_of_no_width():
    target = np.arange(30) % 2
    evidence = Evidence({"net": [one(target, target)]}, [BALANCED])
    assert "every resample gives the same value" in evidence.interval("net", BALANCED).reason


CONSTANT = [
    m
    for m in CLASSIFICATION
    if m.name not in ("mcc", "macro_ppv", "macro_npv")  # undefined
    and not m.no_interval
]


@pytest.mark.parametrize("metric", CONSTANT, ids=lambda m: m.name)
def test_a_constant_classifier_has_no_interval_rather_than_one_of_rounding(metric):
    classes = 3  # a third is no binary fraction
    target = np.arange(10 * classes) % classes
    units = [f"p{number}" for number in range(len(target))]
    scores = np.zeros((2, len(target), classes), np.float32)
    scores[0, :, 0] = scores[1, :, 1] = 1.7  # one takes all for the first class, one for the second
    rows = {
        name: [Scored((0, 0), 0, target, s, units)] for name, s in zip("ab", scores, strict=True)
    }
    evidence = Evidence(rows, [metric])
    for name in rows:
        assert evidence.interval(name, metric).reason.startswith("every resample gives the same")
    (compared,) = evidence.all_pairs(metric)
    assert (compared.difference, compared.p) == (0.0, 1.0)
    assert math.isnan(evidence.detectable([compared]))


@pytest.mark.parametrize("name", ["ece", "class_wise_ece"])
def test_a_calibration_error_has_a_test_but_no_interval(name):
    """Near calibration the error of a sample lies above that of all patients."""
    metric, table = find_metric(name), World(images=1).table(0)
    evidence = Evidence(table, [metric], 300)
    assert "log loss and Brier have one" in evidence.interval("net0", metric).reason
    (pair, *_) = evidence.all_pairs(metric)
    assert pair.tested
    assert math.isnan(pair.interval.low)


def test_the_interval_is_that_of_student_on_the_scale_of_the_bounds():
    table = World(images=1, mean=2.5).table(0)
    evidence = Evidence(table, [BALANCED])
    found, interval = evidence.estimate("net0", BALANCED), evidence.interval("net0", BALANCED)
    error = interval.standard_error / (found.point * (1 - found.point))
    reach = stats.t.ppf(0.975, found.dof) * error
    ends = expit(logit(found.point) + np.array([-reach, reach]))
    assert (interval.low, interval.high) == pytest.approx(tuple(ends))
    assert found.point - interval.low > interval.high - found.point, "away from the bound"


def test_patients_of_unequal_size_widen_the_interval():
    """As many images of as many patients, but half of them of two patients."""
    rng = np.random.default_rng(0)
    target = np.repeat([0, 1], 60)
    predicted = np.where(rng.random(120) < 0.8, target, 1 - target)
    of_class = np.r_[np.zeros(33, dtype=int), np.repeat(range(1, 10), 3)]
    alike, unequal = (
        Evidence({"net": [one(target, predicted, unit)]}, [BALANCED]).interval("net", BALANCED)
        for unit in (np.arange(120) // 6, np.r_[of_class, of_class + 10])
    )
    assert unequal.width > 1.3 * alike.width


def test_a_small_class_that_is_all_right_widens_the_interval():
    """Of 40 and 5 patients, the five are all right: without spread they are not known."""
    target = np.repeat([0, 1], [40, 5])
    predicted = target.copy()
    predicted[:4] = 1
    found = Evidence({"net": [one(target, predicted)]}, [BALANCED]).interval("net", BALANCED)
    of_large = math.sqrt(0.1 * 0.9 / 39) / 2
    assert found.standard_error > 1.5 * of_large
    assert found.low < 0.85


def test_bca_wants_more_than_a_few_patients():
    few, enough = World(patients=28).table(0), World(patients=32).table(0)
    reason = Evidence(few, [BALANCED], method="bca").interval("net0", BALANCED).reason
    assert "BCa requires at least 30 patients (or duplicate groups); there are 28" in reason
    assert not Evidence(enough, [BALANCED], method="bca").interval("net0", BALANCED).reason


def test_bca_and_percentile_agree_where_nothing_is_skewed():
    table = World(patients=200, mean=0.0).table(0)
    percentile = Evidence(table, [BALANCED], method="percentile").interval("net0", BALANCED)
    bca = Evidence(table, [BALANCED], method="bca").interval("net0", BALANCED)
    assert (bca.low, bca.high) == pytest.approx((percentile.low, percentile.high), abs=0.01)


def test_the_jackknife_of_bca_is_made_once_for_all_trials(monkeypatch):
    made, unpatched = [], Units.leave_one_out
    monkeypatch.setattr(Units, "leave_one_out", lambda units: made.append(1) or unpatched(units))
    table = World(patients=30, images=1).table(0)
    _ = Evidence(table, [BALANCED], 50, method="bca").trials
    assert sum(map(len, table.values())) > len(made) == 1


@pytest.mark.slow
def test_no_trial_has_threads_of_blas_beside_its_own():
    seen = set()

    def function(targets, scores, weights):
        seen.update(x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas")
        return 0.5

    metric = replace(BALANCED, function=function, per_class=False, resampled=None)
    with threadpool_limits(2, user_api="blas"):
        _ = Evidence(World(patients=12, images=1).table(0), [metric], 2).trials
    assert seen <= {1}


def test_a_cell_of_the_docs_says_what_is_not_supported():
    given = {"first": 0.95, "tested": 1.0, "different": 0.01, "false": 0.02, "variance": 0.8}
    shares = ((0.96, 1), (0.981, 0.9), (0.92, 1))
    told = [Counts(share, told=some, **given) for share, some in shares]
    assert [cells(one)[0] for one in told] == [
        "96.0 %",
        "not supported (98.1 % of 90.0 %, conservative)",
        "not supported (92.0 %)",
    ]
    assert cells(Counts(math.nan, told=0.0, **given))[:2] == ["not supported", "–"]
    assert cells(told[0])[3] == "2.0 %"
    given["false"] = 0.06
    assert cells(Counts(0.95, told=1.0, **given))[3] == "not supported (6.0 %)"
