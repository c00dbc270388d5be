"""What makes the scores of one trial doubtful: what the test set had to do with its training."""

from __future__ import annotations

import math

from mritk.store.record import TrialRecord

# One sentence each, wherever it is said.
TEST_SELECTED = "Checkpoint selected on the test set: scores are optimistic."
TEST_IMAGES = "Trained on the images of the test set too, without their labels."


def never_selected(record: TrialRecord) -> str:
    """Say that no epoch could be selected as the protocol wants, if it is so; else nothing."""
    protocol, history = record.stored_protocol, record.history
    by = protocol.selection.get("by", "loss")
    # A loss always has a value: a history without one is of a method that measures none.
    if not protocol.selects or by == "loss" or not history:
        return ""
    if not all(math.isnan(epoch.selection) for epoch in history):
        return ""
    reason = record.notes.get("never_selected")
    why = f" ({reason})" if reason else ""
    return (
        f"No epoch could be selected: {by} was undefined on the validation set in all "
        f"epochs{why}; the last checkpoint was used."
    )


def doubts_of(record: TrialRecord) -> list[str]:
    """Return what makes the scores of one trial doubtful by the way it was trained."""
    protocol, unselected = record.stored_protocol, never_selected(record)
    said = {
        TEST_SELECTED: protocol.selected_on_test,
        TEST_IMAGES: protocol.trained_on_test_images,
        unselected: bool(unselected),
    }
    return [sentence for sentence, stands in said.items() if stands]
