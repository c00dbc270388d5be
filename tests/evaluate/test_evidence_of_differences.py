"""Verdicts on differences: paired, at the level that they state, and none without evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.evidence.simulated import World
from mritk.evaluate.comparison import Comparison, Verdict
from mritk.evaluate.evidence import Evidence, ties
from mritk.evaluate.interval import Interval
from mritk.evaluate.metrics import find_metric
from tests.evaluate.test_evidence import BALANCED, WORLD, one


def test_a_paired_difference_is_that_of_the_paired_t_test():
    """One image per patient, one class each: the difference in accuracy is a mean of pairs."""
    rng = np.random.default_rng(1)
    target = np.arange(120) % 2
    first = np.where(rng.random(120) < 0.85, target, 1 - target)
    second = np.where(rng.random(120) < 0.35, 1 - first, first)
    accuracy = find_metric("accuracy")
    rows = {"a": [one(target, first)], "b": [one(target, second)]}
    evidence = Evidence(rows, [accuracy], 20_000, given_these_models=True)
    (found,) = evidence.compare([("a", "b")], accuracy)
    pairs = (first == target).astype(float) - (second == target).astype(float)
    expected = stats.ttest_1samp(pairs, 0)
    assert found.difference == pytest.approx(pairs.mean())
    assert found.p == pytest.approx(expected.pvalue, rel=0.3)
    assert found.interval.low == pytest.approx(expected.confidence_interval().low, abs=0.02)


def test_pairing_tells_more_than_two_intervals():
    """Two rows that are right on the same patients; their own intervals overlap."""
    rng = np.random.default_rng(2)
    target = np.arange(200) % 2
    first = np.where(rng.random(200) < 0.7, target, 1 - target)
    wrong = np.flatnonzero(first != target)
    second = first.copy()
    second[wrong[:14]] = target[wrong[:14]]
    rows = {"a": [one(target, first)], "b": [one(target, second)]}
    evidence = Evidence(rows, [BALANCED], given_these_models=True)
    a, b = (evidence.interval(name, BALANCED) for name in rows)
    assert a.high > b.low
    assert evidence.all_pairs(BALANCED)[0].verdict is Verdict.WORSE


def test_a_difference_larger_than_any_is_not_called_detectable():
    target = np.repeat([0, 1], 2)
    rows = {
        "a": [one(target, [0, 1, 1, 1], run=run) for run in (0, 1)],
        "b": [one(target, [0, 0, run, 1], run=run) for run in (0, 1)],
    }
    evidence = Evidence(rows, [BALANCED], given_these_models=True)
    (compared,) = evidence.all_pairs(BALANCED)
    assert compared.interval.standard_error > 0
    assert evidence.detectable([compared]) == math.inf


def test_the_interval_of_a_difference_agrees_with_its_p():
    for pair in Evidence(World(runs=5).table(0), [BALANCED]).all_pairs(BALANCED):
        assert (0 in pair.interval) == (pair.p >= 0.05)


def test_always_better_is_a_sign_test_over_patients():
    target = np.arange(8) % 2
    rows = {"right": [one(target, target)], "wrong": [one(target, 1 - target)]}
    evidence = Evidence(rows, [BALANCED], given_these_models=True)
    (found,) = evidence.compare([("right", "wrong")], BALANCED)
    assert found.p == pytest.approx(2 * 0.5**8)
    same = Evidence({"a": rows["right"], "b": rows["right"]}, [BALANCED])
    assert same.compare([("a", "b")], BALANCED)[0].p == 1


def test_what_can_be_detected_is_found_four_times_in_five():
    """The formula against its own simulation: t-tests of differences of that size."""
    table = {name: WORLD.table(0)[name] for name in ("net0", "net1")}
    evidence = Evidence(table, [BALANCED])
    (pair,) = evidence.all_pairs(BALANCED)
    size, error = evidence.detectable([pair]), pair.interval.standard_error
    rng = np.random.default_rng(0)
    drawn = size + error * rng.normal(size=200_000)
    estimated = error * np.sqrt(rng.chisquare(pair.dof, 200_000) / pair.dof)
    found = np.abs(drawn / estimated) > stats.t.ppf(0.975, pair.dof)
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)


def test_ties_are_read_off_the_verdicts():
    def pair(first, second, p):
        return Comparison(first, second, "mcc", 0.1, Interval(0, 0.2), p, p)

    found = ties("abc", [pair("a", "b", 0.6), pair("a", "c", 0.01), pair("b", "c", 0.3)])
    assert found == {"a": "a", "b": "ab", "c": "b"}


def test_pairs_that_were_not_tested_give_no_letters():
    """Letters would say that rows are not significantly different."""

    def pair(first, second, p):
        return Comparison(first, second, "mcc", 0.1, Interval(0, 0.2), p, p)

    nan = math.nan
    assert ties("ab", [pair("a", "b", nan)]) == {}
    some = [pair("a", "b", 0.01), pair("a", "c", nan), pair("b", "c", nan)]
    assert ties("abc", some) == {"a": "a", "b": "b"}


def test_a_class_of_one_patient_leaves_the_exchange_of_units():
    """No spread, so no interval; all that the two rows say differs, and exchanging shows it."""
    target = np.r_[np.zeros(6, int), 1]
    rows = {
        name: [one(target, target if name == "a" else 1 - target, run=run) for run in range(3)]
        for name in "ab"
    }
    (pair,) = Evidence(rows, [BALANCED]).all_pairs(BALANCED)
    assert "only one patient" in pair.interval.reason
    assert pair.p == pytest.approx(2 * 0.5**7)
    assert pair.verdict is Verdict.BETTER
