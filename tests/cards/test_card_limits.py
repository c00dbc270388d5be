"""The limits and the numbers of a model card, each from facts."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import recall_score

from mritk import (
    Classification,
)
from mritk.cards.limits import limits_of
from mritk.cards.trial_card import trial_card
from tests.cards.test_trial_card import audit, section

# -- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, limit",
    [
        ({"patients": False}, "Image-level split"),
        ({"audit": {}}, "not audited"),
        ({"audit": audit(copies="keep", clean=1)}, "Leaks were kept .*: 3 of 4 test samples"),
        ({"audit": audit(pretraining=["ADNI"])}, "pretrained on a source .*: ADNI"),
        ({"skipped": ["s7"]}, "1 unreadable samples were skipped"),
        ({"dataset": "simulated_brains"}, "synthetic"),
        ({"provenance": {"dataset_summary": "Synthetic tumours"}}, "synthetic"),
        ({}, "Few patients: the test set has 2"),
        ({}, r"fewer than 20 test samples: a \(2\), b \(2\)"),
        ({}, "images of 2 sites"),
        ({"protocol_json": '{"selection":{"on":"val"}}'}, "selected on 1 validation samples"),
        ({"protocol_json": '{"selection":{"on":"test"}}'}, "selected on the test set"),
        ({"seed": 3}, "One training run .seed 3."),
        ({"folds": 5, "fold": 2}, "Fold 2 of 5"),
        ({"notes": {"precision": "bfloat16"}}, "bfloat16"),
    ],
)
def test_limits_are_stated_from_facts(make_record, changes, limit):
    assert any(re.search(limit, text) for text in limits_of(make_record(**changes)))


def test_no_limit_is_stated_that_is_none(make_record):
    record = make_record(audit=audit(), protocol_json='{"selection":{"on":"last"}}')
    test = record.predictions["test"]
    many = 100
    record.predictions["test"] = replace(
        test,
        id=[f"s{i}" for i in range(many)],
        patient=[f"p{i // 2}" for i in range(many)],
        site=["one"] * many,
        source=[""] * many,
        target=np.arange(many) % 2,
        score=np.eye(2, dtype=np.float32)[np.arange(many) % 2],
        unit=[],
    )
    told = limits_of(record)
    assert len(told) == 2, told
    assert "one site" in told[0]
    assert "One training" in told[1]


# -- numbers -----------------------------------------------------------------------------------


def test_calibration_is_log_loss_brier_score_and_ece(make_record):
    card = section(trial_card(make_record((0, 0, 1, 0))), "Calibration")
    # Logits of 1 and 0: the probability of the decision is p.
    p = math.e / (1 + math.e)
    log_loss = -(3 * math.log(p) + math.log(1 - p)) / 4
    brier = (3 * 2 * (1 - p) ** 2 + 2 * p**2) / 4
    for label, value in (("log loss", log_loss), ("Brier", brier), ("ECE", abs(p - 0.75))):
        assert f"| {label} ↓ | {value:.3f} |" in card


def test_sensitivity_and_specificity_are_recalls_of_the_class_and_of_the_rest(make_record):
    rng = np.random.default_rng(3)
    targets, logits = rng.integers(0, 3, 200), rng.normal(0, 2, (200, 3)).astype(np.float32)
    record = make_record(task=Classification(("a", "b", "c")))
    record.predictions["test"] = replace(
        record.predictions["test"],
        **{name: [f"{name}{i}" for i in range(200)] for name in ("id", "patient", "site")},
        source=[""] * 200,
        target=targets,
        score=logits,
        unit=[],
    )
    predicted = logits.argmax(1)
    rows = section(trial_card(record), "Per class").splitlines()[2:]
    for k, row in enumerate(rows):
        found = recall_score(targets == k, predicted == k)
        rest = recall_score(targets == k, predicted == k, pos_label=0)
        assert row == f"| {'abc'[k]} | {(targets == k).sum()} | {found:.3f} | {rest:.3f} |"


def test_a_class_without_samples_has_no_sensitivity(make_record):
    record = make_record()
    record.predictions["test"].target = np.zeros(4, dtype=np.int64)
    card = trial_card(record)
    assert section(card, "Per class").splitlines()[-1].startswith("| b | 0 | undefined |")
    assert "| balanced accuracy ↑ | undefined: class b has no sample |" in card
