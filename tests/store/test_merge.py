"""``mritk merge``: copies what is new, keeps what is there, names conflicts."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from mritk.errors import StoreError
from mritk.files.atomic import write_whole
from mritk.store.explanations import (
    Explanations,
    explanations_path,
    read_explanations,
    stored_explanations,
    write_explanations,
)
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import model_path
from mritk.store.label_maps import LabelMaps
from mritk.store.merge import merge
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


def test_the_same_result_under_another_name_is_there_already(mritk, folder, sound, tmp_path):
    other = ResultsFolder(tmp_path / "other")
    other.write(sound(id="aaaa", seed=0, dataset="bands-copy", backbone="tiny@file:w.pth"))
    ended = mritk("merge", other.path, "-o", folder.path)
    assert ended.code == 0
    told = "dataset bands-copy, not bands, backbone tiny@file:w.pth, not tiny@scratch; the name in"
    assert told in ended.out
    assert "0 trials copied, 1 already present." in ended.out


@pytest.mark.parametrize(
    "name", ["aaaa", "cccc"], ids=["beside a finished one", "beside a failed one"]
)
def test_a_failed_attempt_has_no_result_that_could_be_there_under_another_name(
    folder, sound, tmp_path, name
):
    other = ResultsFolder(tmp_path / "other")
    other.write(sound(id=name, seed=0, status="failed", dataset="bands-copy"))
    done = merge([other], folder, dry_run=True)
    assert (len(done.same), done.renamed) == (1, [])


def with_model(folder, record, content=b"network"):
    record.notes["model"] = {"sha256": hashlib.sha256(b"network").hexdigest(), "bytes": 7}
    folder.write(record)
    if content:
        model_path(folder, record.id).parent.mkdir(exist_ok=True)
        model_path(folder, record.id).write_bytes(content)


def test_a_merge_that_stops_behind_a_model_loses_none(sound, tmp_path, monkeypatch):
    source, target = ResultsFolder(tmp_path / "one"), ResultsFolder(tmp_path / "two")
    with_model(source, sound(id="aaaa", seed=0))
    real, written = write_whole, []

    def stopping(path, content, *rest, **options):
        written.append(path)
        if len(written) == 2:
            raise StoreError("disk full")
        real(path, content, *rest, **options)

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="disk full"):
        patch.setattr("mritk.store.merge.write_whole", stopping)
        merge([source], target, dry_run=False)
    assert merge([source], target, dry_run=False).copied == ["aaaa"]
    assert model_path(target, "aaaa").read_bytes() == b"network"


@pytest.mark.parametrize(("content", "copied"), [(b"network", ["aaaa"]), (b"another", [])])
def test_a_trial_that_is_there_gets_the_model_that_it_was_scored_with(
    mritk, sound, tmp_path, content, copied
):
    source, target = ResultsFolder(tmp_path / "one"), ResultsFolder(tmp_path / "two")
    with_model(source, sound(id="aaaa", seed=0), content)
    with_model(target, sound(id="aaaa", seed=0), b"")
    dry = mritk("merge", source.path, "-o", target.path, "--dry-run", "--json")
    assert json.loads(dry.out)["modelled"] == copied
    assert merge([source, source], target, dry_run=False).modelled == copied
    assert model_path(target, "aaaa").is_file() == bool(copied)
    assert merge([source], target, dry_run=False).modelled == []


def test_a_network_of_an_earlier_training_follows_no_trial(mritk, sound, tmp_path):
    source, target = ResultsFolder(tmp_path / "one"), ResultsFolder(tmp_path / "two")
    with_model(source, sound(id="aaaa", seed=0))
    source.write(sound(id="aaaa", seed=0))
    with_model(target, sound(id="aaaa", seed=0, status="failed"))
    assert ("models/aaaa.safetensors", "orphan") in states(mritk, source)[1]
    assert merge([source], target, dry_run=False).copied == ["aaaa"]
    assert not model_path(target, "aaaa").exists()
    assert states(mritk, target) == (0, set())


def test_a_trial_that_failed_in_one_source_and_ended_in_another_is_copied_once(sound, tmp_path):
    one, two = ResultsFolder(tmp_path / "one"), ResultsFolder(tmp_path / "two")
    one.write(sound(id="aaaa", seed=0, status="failed"))
    two.write(sound(id="aaaa", seed=0))
    assert merge([one, two], ResultsFolder(tmp_path / "both"), dry_run=False).copied == ["aaaa"]


def test_label_maps_are_compared_as_they_are_not_as_they_were_compressed():
    maps = [np.arange(400).reshape(20, 20) % 7, np.zeros((3, 3))]
    one, other = LabelMaps.of(maps), LabelMaps.of(maps)
    again = LabelMaps(one.shapes, tuple(zlib.compress(m.tobytes(), 9) for m in one))
    assert one.packed != again.packed
    assert (one, hash(one)) == (again, hash(again)) == (other, hash(other))
    assert one != LabelMaps.of([maps[0] + 1, maps[1]])
    assert one != LabelMaps.of(maps, np.ones((2, 2)))


def test_merging_several_folders_into_a_new_one(mritk, sound, tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        ResultsFolder(tmp_path / name).write(sound(id=f"{seed}" * 4, seed=seed))
    target = tmp_path / "both"
    assert mritk("merge", tmp_path / "one", tmp_path / "two", "-o", target).code == 0
    assert len(list(ResultsFolder(target).trials())) == 2
    assert mritk("merge", target, "-o", target).code == 2
    assert mritk("merge", tmp_path / "nowhere", "-o", target).code == 2


@pytest.fixture
def explained(tmp_path, sound):
    """Another folder, with explanations of two of its trials."""
    other = ResultsFolder(tmp_path / "other")
    for name, seed in (("aaaa", 0), ("dddd", 3)):
        other.write(sound(id=name, seed=seed))
        path = explanations_path(other.path, name)
        maps = {"saliency": [np.full((2, 2), seed, np.float32)]}
        scores = {"saliency": np.ones((1, 1))}
        case = (["s0"], ["p0"], ["p0"], np.zeros(1, np.int64), np.full(1, -1))
        found = Explanations(name, "sha", "data", ("a", "b"), *case, maps, ("dice",), scores)
        write_explanations(found, path)
        (path.with_suffix("") / "saliency").mkdir(parents=True)
        (path.with_suffix("") / "saliency" / "s0.nii.gz").write_bytes(b"volume")
    return other


def test_explanations_follow_their_trials(mritk, folder, explained):
    dry = mritk("merge", explained.path, "-o", folder.path, "--dry-run", "--json")
    assert json.loads(dry.out)["explained"] == ["aaaa", "dddd"]
    assert not (folder.path / "explanations").exists()
    ended = mritk("merge", explained.path, "-o", folder.path)
    assert "1 trial copied, 1 already present.\nExplanations of 2 trials copied." in ended.out
    for name in ("aaaa", "dddd"):
        path = explanations_path(folder.path, name)
        assert path.read_bytes() == explanations_path(explained.path, name).read_bytes()
        assert read_explanations(path).trial == name
        assert (path.with_suffix("") / "saliency" / "s0.nii.gz").read_bytes() == b"volume"
    again = mritk("merge", explained.path, "-o", folder.path)
    assert again.code == 0 and "Explanations" not in again.out


def test_explanations_that_are_there_stay_and_damaged_ones_are_left_out(mritk, folder, explained):
    there = explanations_path(folder.path, "aaaa")
    there.parent.mkdir()
    there.write_bytes(b"mine")
    damaged = explanations_path(explained.path, "dddd")
    damaged.write_bytes(damaged.read_bytes()[:-5])
    ended = mritk("merge", explained.path, "-o", folder.path)
    assert ended.code == 1
    assert f"skipped: {damaged} was modified after it was written" in ended.out
    assert there.read_bytes() == b"mine"
    assert not explanations_path(folder.path, "dddd").exists()
    assert folder.status("dddd") == "finished"


def test_explanations_that_may_not_be_read_are_not_taken_for_none(folder, explained, monkeypatch):
    stat = Path.stat

    def refuse(path, **options):
        if path.parent == explained.path / "explanations":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(StoreError, match=r"cannot read .*aaaa.h5: Permission denied; repeat the"):
        merge([explained], folder, dry_run=True)
    with pytest.raises(StoreError, match=r"cannot read .*aaaa.h5: Permission denied; repeat the"):
        stored_explanations(explained, "aaaa")


def test_explanations_of_a_conflicting_trial_are_not_copied(mritk, folder, explained, sound):
    explained.write(sound((1, 1, 0, 0), id="aaaa", seed=0))
    assert mritk("merge", explained.path, "-o", folder.path).code == 1
    assert not explanations_path(folder.path, "aaaa").exists()


def test_explanations_of_a_conflicting_trial_do_not_follow_that_of_another_source(
    explained, sound, tmp_path
):
    one = ResultsFolder(tmp_path / "one")
    one.write(sound((1, 1, 0, 0), id="aaaa", seed=0))
    for dry_run in (True, False):
        done = merge([one, explained], ResultsFolder(tmp_path / "both"), dry_run=dry_run)
        assert (sorted(done.copied), done.explained) == (["aaaa", "dddd"], ["dddd"])
        assert len(done.conflicts) == 1


def test_explanations_beside_a_failed_attempt_are_of_no_trial_in_the_target(
    folder, explained, sound
):
    explained.trial_path("aaaa").unlink()
    explained.write(sound(id="aaaa", seed=0, status="failed"))
    assert merge([explained], folder, dry_run=True).explained == ["dddd"]
