"""What makes the scores of one trial doubtful: how the state that was kept was chosen."""

from __future__ import annotations

import math

from mritk.store.record import TrialRecord

# One sentence each, wherever it is said.
TEST_SELECTED = "Checkpoint selected on the test set: scores are optimistic."


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
    """Return what makes the scores of one trial doubtful by the way its state was chosen."""
    on_test = [TEST_SELECTED] if record.stored_protocol.selected_on_test else []
    unselected = never_selected(record)
    return [*on_test, unselected] if unselected else on_test
