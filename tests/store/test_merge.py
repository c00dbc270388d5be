"""``mritk merge``: copies what is new, keeps what is there, names conflicts."""

from __future__ import annotations

import json

import pytest

from mritk.store.folder import ResultsFolder
from tests.store.conftest import states


@pytest.mark.slow
def test_merge_copies_what_is_new_and_keeps_what_is_there(mritk, folder, sound, tmp_path):
    other = ResultsFolder(tmp_path / "other")
    other.write(sound(id="aaaa", seed=0))
    other.write(sound(id="cccc", seed=2))
    other.write(sound(id="dddd", seed=3))
    before = folder.trial_path("aaaa").read_bytes()
    dry = mritk("merge", other.path, "-o", folder.path, "--dry-run", "--json")
    assert sorted(json.loads(dry.out)["copied"]) == ["cccc", "dddd"]
    assert folder.status("cccc") == "failed"
    ended = mritk("merge", other.path, "-o", folder.path)
    assert ended.code == 0
    assert "2 trials copied, 1 already present." in ended.out
    assert folder.status("cccc") == "finished", "a finished trial replaces a failed one"
    assert folder.trial_path("dddd").read_bytes() == other.trial_path("dddd").read_bytes()
    assert folder.trial_path("aaaa").read_bytes() == before
    assert states(mritk, folder) == (0, set())


def test_a_failed_trial_never_replaces_a_finished_one(mritk, folder, sound, tmp_path):
    other = ResultsFolder(tmp_path / "other")
    other.write(sound(id="aaaa", seed=0, status="failed"))
    assert mritk("merge", other.path, "-o", folder.path).code == 0
    assert folder.status("aaaa") == "finished"


def test_conflicts_and_damage_are_named_and_give_1(mritk, folder, sound, tmp_path):
    other = ResultsFolder(tmp_path / "other")
    other.write(sound((1, 1, 0, 0), id="aaaa", seed=0))
    other.write(sound(id="dddd", seed=4))
    other.trial_path("ffff").write_bytes(b"torn")
    before = folder.trial_path("aaaa").read_bytes()
    ended = mritk("merge", other.path, "-o", folder.path)
    assert ended.code == 1
    assert "conflict: aaaa" in ended.out
    assert "ffff.h5" in ended.out
    assert folder.trial_path("aaaa").read_bytes() == before
    assert folder.status("dddd") == "finished", "the others are merged"


def test_equal_scores_of_other_targets_are_a_conflict(mritk, folder, sound, tmp_path):
    other, record = ResultsFolder(tmp_path / "other"), sound(id="aaaa", seed=0)
    record.predictions["test"].target = record.predictions["test"].target[::-1].copy()
    other.write(record)
    ended = mritk("merge", other.path, "-o", folder.path)
    assert ended.code == 1
    assert "conflict: aaaa" in ended.out


def test_another_training_with_the_same_result_is_there_already(mritk, folder, sound, tmp_path):
    """On a slower machine, say: its times and its provenance are others."""
    other, record = ResultsFolder(tmp_path / "other"), sound(id="aaaa", seed=0)
    record.cost, record.provenance = {"seconds_fit": 99.0}, {"mritk": "2.0"}
    other.write(record)
    assert mritk("merge", other.path, "-o", folder.path).code == 0


def test_merging_several_folders_into_a_new_one(mritk, sound, tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        ResultsFolder(tmp_path / name).write(sound(id=f"{seed}" * 4, seed=seed))
    target = tmp_path / "both"
    assert mritk("merge", tmp_path / "one", tmp_path / "two", "-o", target).code == 0
    assert len(list(ResultsFolder(target).trials())) == 2
    assert mritk("merge", target, "-o", target).code == 2
    assert mritk("merge", tmp_path / "nowhere", "-o", target).code == 2
