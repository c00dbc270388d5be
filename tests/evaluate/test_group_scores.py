"""How sure the score of a group is: patients of the group, and retraining, shared over groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence.groups import GroupWorld
from benchmarks.evidence.quick_metric import quick_metric
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.group_scores import group_scores

METRIC = quick_metric("balanced_accuracy")
WORLD = GroupWorld((2.2, 1.5, 1.2, 0.4), (30, 60, 40, 25), rows=4, runs=5, unstable=8)


def of_groups(world: GroupWorld, seed: int):
    return {
        f"g{number}": Evidence(rows, [METRIC], 300) for number, rows in enumerate(world.table(seed))
    }


def of_training(evidence, found, row):
    """Return the variance (G,) of the scores of a row that is not that of the patients."""
    estimates = [evidence[name].estimate(row, METRIC) for name in found.names]
    patients = [one.standard_error**2 - one.training.variance for one in estimates]
    return found.errors**2 - np.asarray(patients)


@pytest.fixture(scope="module")
def unstable():
    evidence = of_groups(WORLD, 1)
    return evidence, group_scores(evidence, METRIC)


def test_a_row_whose_runs_differ_more_rests_on_its_own_runs(unstable):
    """It does without groups, too; pooled over all rows, it would have what the others have."""
    evidence, scores = unstable
    first, *others = scores
    least = of_training(evidence, scores[first], first)
    for row in others:
        assert (least > 1.5 * of_training(evidence, scores[row], row)).all()
        assert (scores[first].dof < scores[row].dof).all()


def test_what_retraining_changes_is_one_number_of_log_odds_for_all_groups(unstable):
    evidence, scores = unstable
    found = scores["net0"]
    of_log_odds = np.sqrt(of_training(evidence, found, "net0")) / (
        found.points * (1 - found.points)
    )
    assert of_log_odds == pytest.approx(np.full(4, of_log_odds[0]))


def test_with_one_run_a_group_has_what_it_has_alone():
    evidence = of_groups(replace(WORLD, runs=1), 0)
    found = group_scores(evidence, METRIC)["net1"]
    alone = [evidence[name].estimate("net1", METRIC) for name in found.names]
    assert found.errors.tolist() == [one.standard_error for one in alone]
    assert found.dof.tolist() == [one.dof for one in alone]
