"""A question about a trial's recipe has one answer, wherever it is asked."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mritk.cards.limits import limits_of
from mritk.cards.trial_card import trial_card
from mritk.method import Epoch
from mritk.protocol.stored import StoredProtocol
from mritk.protocol.words import protocol_words
from mritk.results.doubts import TEST_IMAGES, TEST_SELECTED
from mritk.results.footnotes import footnotes
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions

ON_VALIDATION = {"selection": {"on": "val", "by": "loss"}}
ON_TEST = {**ON_VALIDATION, "split": {"validation": "test"}}
EARLIER = {"selection": {"on": "test"}}


@pytest.mark.parametrize(
    "protocol, on_test",
    [({}, False), (ON_VALIDATION, False), (ON_TEST, True), (EARLIER, True)],
)
def test_card_leaderboard_and_words_agree_on_what_selected_the_state(
    make_record, protocol, on_test
):
    record = make_record(protocol_json=json.dumps(protocol))
    (table,) = build_leaderboard([record]).tables
    assert ("§" in table.rows[0].marks) == on_test
    assert any(note == f"§ {TEST_SELECTED}" for note in footnotes(table)) == on_test
    assert (TEST_SELECTED in limits_of(record)) == on_test
    card = trial_card(record)
    assert (TEST_SELECTED in card) == on_test
    words = " ".join(protocol_words(record.stored_protocol, "holdout"))
    assert ("on the test set is used" in words) == on_test or protocol == EARLIER
    if protocol == ON_TEST:
        assert "validation set is used" not in words
        assert "validation set, so" not in card, "nobody says that validation selected it"


def test_card_leaderboard_and_words_agree_on_what_was_trained_on(make_record):
    for which in ("none", "train", "all"):
        record = make_record(protocol_json=json.dumps({"split": {"unlabelled": which}}))
        (table,) = build_leaderboard([record]).tables
        seen = which == "all"
        assert ("◊" in table.rows[0].marks) == seen
        assert any(note == f"◊ {TEST_IMAGES}" for note in footnotes(table)) == seen
        assert (TEST_IMAGES in limits_of(record)) == seen
        words = " ".join(protocol_words(record.stored_protocol, "holdout"))
        assert ("images of the test set are trained on" in words) == seen


def test_an_empty_protocol_answers_with_the_defaults():
    stored = StoredProtocol()
    assert (stored.repeats, stored.shots, stored.test_time) == (1, 0, "none")
    assert not (stored.selected_on_test or stored.validates_on_test or stored.selects)


def test_a_protocol_of_a_newer_mritk_answers_too():
    stored = StoredProtocol.from_json('{"split": "new form", "unknown": [1]}')
    assert stored.split == {}
    assert stored.flat == {"split": "new form", "unknown[0]": 1}


def test_the_differences_of_two_protocols_are_fields():
    one, other = StoredProtocol(ON_VALIDATION), StoredProtocol({"selection": {"on": "last"}})
    assert one.differences(other) == ["selection.by: loss | absent", "selection.on: val | last"]


def test_the_card_gives_the_clean_score_of_the_leaderboard(make_record):
    record = make_record((0, 1, 1, 0))
    target, predicted = np.repeat((0, 0, 1, 1), 5), np.repeat((0, 1, 1, 0), 5)
    ids, none = [f"s{i:02d}" for i in range(20)], [""] * 20
    score = np.eye(2, dtype=np.float32)[predicted]
    right = target == predicted
    test = Predictions(ids, none, none, none, target, score, right)
    record.predictions["test"] = test
    record.audit = {
        "audited": True,
        "findings": [],
        "clusters": 1,
        "samples_in_clusters": 4,
        "copies": "keep",
        "dropped": 0,
        "unused": 0,
        "test": 4,
        "clean": 2,
        "shared_with_validation": 1,
        "split": "0" * 64,
        "pretraining": [],
    }
    (table,) = build_leaderboard([record]).tables
    (row,) = table.rows
    assert row.clean_cells["accuracy"].mean == 1.0 != row.cells["accuracy"].mean
    card = trial_card(record)
    line = next(line for line in card.splitlines() if line.startswith("| accuracy"))
    assert line.startswith("| accuracy ↑ | 0.500 |")
    assert line.endswith("| 1.000 |")
    leaks = "2 of 4 test samples have a duplicate, or another image of the same patient, "
    leaks += "in training or validation, and 1 validation sample in training"
    assert leaks in " ".join(footnotes(table))
    assert leaks in " ".join(limits_of(record))
    assert "†" not in card, "a card has no signs to explain"


def test_the_card_tells_which_of_the_scored_states_was_kept(make_record):
    card = trial_card(make_record())
    assert "1 checkpoint was scored on the validation set; number 1 (head) was selected" in card


def test_a_trial_that_could_select_nothing_is_marked_wherever_it_is_shown(make_record):
    by_mcc = json.dumps({"selection": {"on": "val", "by": "mcc"}})
    epochs = [Epoch(n, 2, "all", 1e-3, 0.7, 0.6, math.nan, 1.5) for n in (1, 2)]
    record = make_record(
        protocol_json=by_mcc,
        history=epochs,
        notes={"selected_epoch": 2, "never_selected": "one class"},
    )
    told = "No epoch could be selected: mcc was undefined on the validation set in all epochs"
    told += " (one class)"
    (table,) = build_leaderboard([record]).tables
    assert table.rows[0].marks == "‖"
    assert any(note.startswith(f"‖ {told}") for note in footnotes(table))
    assert any(limit.startswith(told) for limit in limits_of(record))
    assert told in trial_card(record)
    assert "number 2 (all) was kept, as none could be selected" in trial_card(record)
    epochs[0] = replace(epochs[0], selection=0.1)
    (table,) = build_leaderboard([replace(record, history=epochs)]).tables
    assert table.rows[0].marks == ""


@pytest.mark.parametrize("selection", [{"on": "last", "by": "mcc"}, {"on": "val", "by": "loss"}])
def test_epochs_without_a_value_are_no_matter_where_nothing_is_selected(make_record, selection):
    """A method that measures no loss need not tell one."""
    record = make_record(
        protocol_json=json.dumps({"selection": selection}),
        history=[Epoch(1, 1, "all", 1e-3, 0.7, 0.6, math.nan, 1.5)],
    )
    (table,) = build_leaderboard([record]).tables
    assert table.rows[0].marks == ""
