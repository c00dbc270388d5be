"""Augmentations are named on the command line and train."""

from __future__ import annotations

import json

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mri", "rand_augment", "trivial_augment"])
def test_a_run_with_an_augmentation_is_a_row_of_its_own(run_toy, name):
    ended = run_toy("--seeds", 1, "-a", name, "--json")
    assert ended.code == 0, ended.err
    (table,) = json.loads(ended.out)["leaderboard"]["tables"]
    (row,) = table["rows"]
    assert name in json.dumps(row)


@pytest.mark.slow
def test_a_trial_of_an_earlier_revision_is_not_taken_for_one_of_today(
    run_toy, mritk, tmp_path, monkeypatch
):
    """The same draws give other images: both are kept, and a table of both says so."""
    arguments = ("--seeds", 1, "-a", "spike")
    for revision in (2, 99):
        monkeypatch.setattr("mritk_augment.REVISION", revision)
        ended = run_toy(*arguments)
        assert ended.code == 0, ended.err
    results = tmp_path / "results"
    assert len(list((results / "trials").glob("*.h5"))) == 2
    told = " ".join(mritk("leaderboard", results).out.split())
    assert "several trials of the same seed and fold" in told
