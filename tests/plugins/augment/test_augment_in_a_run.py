"""Augmentations are named on the command line and train."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("name", ["mri", "rand_augment", "trivial_augment"])
def test_a_run_with_an_augmentation_is_a_row_of_its_own(run_toy, name):
    ended = run_toy("--seeds", 1, "-a", name, "--json")
    assert ended.code == 0, ended.err
    (table,) = json.loads(ended.out)["leaderboard"]["tables"]
    (row,) = table["rows"]
    assert name in json.dumps(row)
