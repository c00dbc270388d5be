"""Trials of several states of the code in one folder: which are paired, and which rows are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mritk.compare.gate_text import comparisons_text
from mritk.errors import ExitCode
from tests.compare.test_gate import compared


def seeds(make_trial, name, *right, **columns):
    """Trials of three seeds, as one state of the code makes them."""
    return [
        make_trial(share, seed=seed, draw=seed, id=f"{name}{seed}", **columns)
        for seed, share in enumerate(right)
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_trials_of_two_states_of_the_code_are_never_mixed(make_trial, order):
    old, new = seeds(make_trial, "old", 0.9, 0.9, 0.9), seeds(make_trial, "new", 0.5, 0.5, 0.5)
    found = compared(old, [*old, *new][::order])
    assert found.exit_code == ExitCode.GATE_FAILED
    assert found.changes[0].head < 0.6
    assert "those that the base has, too, were passed over" in found.pairs.doubtful[0]
    again = [replace(trial, id=f"again{trial.seed}") for trial in new]
    for base, head in ((old, [*old, *new[:2]]), ([*old, *new], new), (old, [*new, *again])):
        found = compared(base[::order], head[::order])
        assert found.exit_code == ExitCode.UNAVAILABLE
        assert (found.changes, found.pairs.missing, found.pairs.added) == ([], [], [])
        assert "has several trials of fold 0, seed" in found.pairs.ambiguous[0]
        assert found.pairs.ambiguous[0] in " ".join(comparisons_text(found, "plain").split())


def test_a_row_that_was_made_anew_in_a_part_is_not_compared(make_trial):
    old, new = seeds(make_trial, "old", 0.9, 0.9, 0.9), seeds(make_trial, "new", 0.5, 0.5, 0.5)
    found = compared(old, [*old[:2], new[2]])
    assert found.exit_code == ExitCode.UNAVAILABLE
    assert (found.changes, found.pairs.missing, found.pairs.added) == ([], [], [])
    (told,) = found.pairs.ambiguous
    assert "fold 0, seed 0 of the base (old0), but fold 0, seed 2 made anew (new2)" in told
    again = [replace(trial, provenance={"started": "2026-01-02T00:00:00"}) for trial in old[:2]]
    assert compared(old, [*again, new[2]]).changes, "trained anew, if under the same ids"
    (told,) = compared(old, [*again, old[2]]).pairs.ambiguous
    assert "fold 0, seed 2 of the base (old2), but fold 0, seed 0 made anew (old0)" in told
    # What the base lacks, or has failed at, says nothing of the rest.
    failed = replace(old[2], status="failed", predictions={})
    for base in (old[:2], [*old[:2], failed]):
        assert compared(base, [*old[:2], new[2]]).exit_code == ExitCode.OK


def test_a_failure_counts_if_no_trial_has_finished_since(make_trial):
    def made(name, minute, **columns):
        return make_trial(id=name, provenance={"started": f"2026-01-01T00:{minute}:00"}, **columns)

    old = made("old", "01")
    for minute, code in (("00", ExitCode.OK), ("02", ExitCode.UNAVAILABLE)):
        failed = replace(made("new", minute), status="failed", predictions={})
        assert compared([old], [failed, old]).exit_code == code
