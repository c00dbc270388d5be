"""Rows of several seeds: which runs are compared, and what one run per row can tell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence.simulated import World
from mritk.evaluate.comparison import Verdict
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.run_values import Scored

BALANCED = find_metric("balanced_accuracy")
AUROC = find_metric("macro_auroc")
WORLD = World(patients=60, images=6, classes=3, backbones=3, runs=3)


def test_rows_are_compared_on_the_seeds_that_both_have():
    table = WORLD.table(1)
    rows = {"a": table["net0"], "b": table["net1"][:2]}
    (found,) = Evidence(rows, [BALANCED]).compare([("a", "b")], BALANCED)
    assert found.runs == 2
    means = [
        np.mean([BALANCED.compute(t.target, t.score).value for t in trials[:2]])
        for trials in rows.values()
    ]
    assert found.difference == pytest.approx(means[0] - means[1])


def test_rows_without_a_common_seed_are_not_compared():
    table = WORLD.table(1)
    rows = {"a": table["net0"][:1], "b": table["net1"][1:]}
    (found,) = Evidence(rows, [BALANCED]).compare([("a", "b")], BALANCED)
    assert math.isnan(found.p)
    assert found.verdict is Verdict.CANNOT_TELL
    assert "no trial of the same seed and fold" in found.interval.reason


def test_one_run_per_row_is_not_tested_unless_these_models_are_meant():
    table = World(runs=1).table(0)
    (pair,) = Evidence({n: table[n] for n in ("net0", "net1")}, [BALANCED]).all_pairs(BALANCED)
    assert math.isnan(pair.p)
    assert "--given-these-models" in pair.reason
    rows = {n: table[n] for n in ("net0", "net1")}
    (pair,) = Evidence(rows, [BALANCED], given_these_models=True).all_pairs(BALANCED)
    assert pair.tested


def test_the_spread_of_runs_that_other_rows_show_serves_a_row_of_one_run():
    table = World(runs=3).table(0)
    rows = {"a": table["net0"], "b": table["net1"], "c": table["net2"][:1]}
    assert all(pair.tested for pair in Evidence(rows, [BALANCED]).all_pairs(BALANCED))


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_runs_that_agree_but_for_rounding_leave_the_exchange_of_units():
    """As those of a method that draws nothing at random do; a class has one patient here."""
    target, rng = np.asarray([0] * 5 + [1] * 5 + [2]), np.random.default_rng(2)
    scores = {f"net{n}": rng.normal(size=(11, 3)) + n * np.eye(3)[target] for n in range(4)}
    units = [str(patient) for patient in range(11)]
    table = {
        name: [Scored((run, 0), 0, target, score, units) for run in range(7)]
        for name, score in scores.items()
    }
    pairs = Evidence(table, [AUROC], 50).all_pairs(AUROC)
    assert all(pair.tested for pair in pairs)
    given = Evidence(table, [AUROC], 50, given_these_models=True).all_pairs(AUROC)
    assert [pair.p for pair in pairs] == pytest.approx([pair.p for pair in given])


def test_one_run_each_that_is_as_good_by_accident_is_not_tested():
    """Each errs on another patient; rows that say the same of all are equal, whoever trains."""
    target = np.arange(12) % 2
    wrong = {"a": 0, "b": 2, "c": 2}
    rows = {
        name: [
            Scored(
                (0, 0),
                0,
                target,
                np.eye(2)[np.where(np.arange(12) == number, 1 - target, target)],
                [f"p{i}" for i in range(12)],
            )
        ]
        for name, number in wrong.items()
    }
    evidence = Evidence(rows, [BALANCED])
    pairs = {(p.first, p.second): p for p in evidence.all_pairs(BALANCED)}
    assert {p.difference for p in pairs.values()} == {0.0}
    assert [pairs[pair].tested for pair in (("a", "b"), ("a", "c"), ("b", "c"))] == [0, 0, 1]
    assert pairs["b", "c"].p == 1
    assert math.isnan(evidence.detectable([pairs["a", "b"]]))


def test_seeds_that_share_training_samples_are_one_run():
    """Three seeds that say the same tell no more of another draw of training samples than one."""
    once = World(patients=60, backbones=2, runs=4, of_run=0.3).table(0)
    draws = {
        name: [replace(t, run=(0, draw), fold=draw) for draw, t in enumerate(trials)]
        for name, trials in once.items()
    }
    seeds = {
        name: [replace(t, run=(seed, t.fold)) for t in trials for seed in range(3)]
        for name, trials in draws.items()
    }
    one, three = (Evidence(rows, [BALANCED], 300) for rows in (draws, seeds))
    for name in once:
        found, expected = (e.interval(name, BALANCED) for e in (three, one))
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert three.all_pairs(BALANCED)[0].p == pytest.approx(one.all_pairs(BALANCED)[0].p)
