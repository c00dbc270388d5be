"""The table of explanations: patients are resampled as one, and controls are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.evaluate.map_metrics import COLUMNS, MAP_METRICS
from mritk.results.explanation_table import ExplanationTable
from mritk.store.explanations import RANDOM_PLACES, RANDOM_WEIGHTS, Explanations

CASES = 60


@pytest.fixture
def make():
    """Make explanations of 60 cases, each so many of one patient, all but six with a lesion."""

    def make(scores, *, per_patient=1, lesion=9):
        lesions = np.full(CASES, lesion)
        lesions[:6] = 0
        patient = [f"p{i // per_patient}" for i in range(CASES)]
        return Explanations(
            *("0123456789", "sha", "data", ("a", "b")),
            [f"s{i}" for i in range(CASES)],
            patient,
            patient,
            np.arange(CASES) // 6 % 2,
            lesions,
            {"gradients": [np.zeros((2, 2))] * CASES},
            COLUMNS,
            {row: _columns(values) for row, values in scores.items()},
        )

    return make


def _columns(pointing):
    found = np.full((CASES, len(COLUMNS)), 0.5)
    found[:, COLUMNS.index("pointing")] = pointing
    found[:6, :3] = np.nan
    return found


POINTING = MAP_METRICS["pointing"]
OFTEN = (np.arange(CASES) // 3 % 4 > 0).astype(float)
SELDOM = (np.arange(CASES) // 3 % 5 == 0).astype(float)


def rows(own, control):
    return {"gradients": own, "gradients" + RANDOM_WEIGHTS: control, RANDOM_PLACES: SELDOM}


def test_means_are_over_cases_with_a_lesion(make):
    table = ExplanationTable(make(rows(OFTEN, SELDOM)))
    assert table.score("gradients", POINTING).value == pytest.approx(OFTEN[6:].mean())
    assert table.score("gradients", POINTING).interval.low < OFTEN[6:].mean()


def test_cases_of_one_patient_are_no_further_witnesses(make):
    alone, clustered = (
        ExplanationTable(make(rows(OFTEN, SELDOM), per_patient=n)).score("gradients", POINTING)
        for n in (1, 3)
    )
    assert alone.value == clustered.value
    # Three equal cases of each patient: the error is about √3 times as large.
    ratio = clustered.interval.standard_error / alone.interval.standard_error
    assert ratio == pytest.approx(np.sqrt(3), rel=0.1)


def test_maps_that_random_weights_place_as_well_are_named(make):
    good, doubtful = (
        ExplanationTable(make(rows(OFTEN, control))) for control in (SELDOM, 1 - SELDOM)
    )
    assert good.depends_on_training("gradients") is True
    assert doubtful.depends_on_training("gradients") is False
    warning = "These maps are not shown to depend on training."
    assert warning in doubtful.sentences()[0]
    assert warning not in good.sentences()[0]


def test_a_difference_is_paired_by_case(make):
    table = ExplanationTable(make(rows(OFTEN, OFTEN * (np.arange(CASES) != 30))))
    found = table.difference("gradients", "gradients" + RANDOM_WEIGHTS, POINTING)
    assert found.difference == pytest.approx(OFTEN[30] / (CASES - 6))
    assert (
        found.interval.standard_error < table.score("gradients", POINTING).interval.standard_error
    )


def test_without_lesions_the_rest_is_compared(make):
    table = ExplanationTable(make(rows(OFTEN, SELDOM), lesion=-1))
    assert [metric.name for metric in table.metrics] == [
        *("deletion", "insertion", "kept", "removed")
    ]
    assert "pointing" not in table.as_data()["rows"]["gradients"]
