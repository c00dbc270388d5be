"""``mritk doctor``: what nobody needs is deleted, and nothing that somebody uses."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mritk.execute.agenda import announced
from mritk.execute.claim import claimed
from mritk.store.claims import unclaimed
from mritk.store.doctor import cure, diagnose
from tests.store.conftest import states


def test_the_folder_beside_the_checkpoint_of_a_finished_trial_is_a_leftover(mritk, folder):
    beside = folder.checkpoint_path("bbbb").with_suffix(".files")
    (beside / "program").mkdir(parents=True)
    (beside / "program" / "log.txt").write_text("said")
    an_hour_ago = time.time() - 3700
    for path in (beside, *beside.rglob("*")):
        os.utime(path, (an_hour_ago, an_hour_ago))
    _, found = states(mritk, folder, "--fix")
    assert ("checkpoints/bbbb.files", "leftover") in found
    assert not beside.exists()


def test_the_checkpoint_of_a_trial_that_is_trained_again_stays(folder):
    beside = folder.checkpoint_path("bbbb").with_suffix(".files")
    beside.mkdir(parents=True)
    (beside / "latest.pth").touch()
    folder.checkpoint_path("bbbb").touch()
    for path in (beside / "latest.pth", beside, folder.checkpoint_path("bbbb")):
        os.utime(path, (0, 0))
    before = diagnose(folder)
    (beside / "latest.pth").write_text("now")
    cure(folder, before)
    assert beside.exists(), "something in it was written since the doctor looked"
    assert folder.checkpoint_path("bbbb").exists(), "whoever writes one of the two needs both"
    os.utime(beside / "latest.pth", (0, 0))
    with claimed(folder, "bbbb", wait=False):
        cure(folder, before)
        said = {str(one.path): one.text for one in diagnose(folder).ailments}
        assert said["checkpoints/bbbb.files"] == "checkpoint of a trial that is being trained again"
    assert beside.exists()
    assert folder.checkpoint_path("bbbb").exists()


def test_a_file_that_somebody_may_be_writing_is_left_alone_for_an_hour(mritk, folder):
    half = [folder.path / ".results.h5.1.tmp", folder.path / "trials" / ".x.h5.1.tmp"]
    for path in half:
        path.write_bytes(b"half")
    code, found = states(mritk, folder, "--fix")
    assert code == 0
    named = {(str(path.relative_to(folder.path)), "possibly in use") for path in half}
    assert named <= found
    assert all(path.exists() for path in half)
    for path in half:
        os.utime(path, (0, 0))
    states(mritk, folder, "--fix")
    assert not any(path.exists() for path in half)


def test_a_run_deletes_no_checkpoint_of_a_trial_that_another_process_trains(folder):
    with claimed(folder, "bbbb", wait=False):
        assert list(unclaimed(folder, ["aaaa", "bbbb"])) == ["aaaa"]
    assert list(unclaimed(folder, ["aaaa", "bbbb"])) == ["aaaa", "bbbb"]


def test_hidden_files_of_the_system_are_no_damage(mritk, folder):
    for name in (".DS_Store", "._aaaa.h5", ".h5"):
        (folder.path / "trials" / name).write_bytes(b"mac")
    for name in ("models/.DS_Store", "checkpoints/._zzzz.ckpt"):
        (folder.path / name).parent.mkdir()
        (folder.path / name).write_bytes(b"mac")
    folder.rebuild_view()
    assert states(mritk, folder, "--fix") == (0, {("trials/cccc.h5", "failed trial")})
    assert "not read" not in mritk("leaderboard", folder.path).err


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_a_file_whose_name_is_no_text_is_named_and_stops_nothing(mritk, folder):
    odd = os.fsencode(folder.path / "trials") + b"/caf\xe9.h5"
    Path(os.fsdecode(odd)).write_bytes(b"odd")
    folder.tidy()
    assert mritk("rescore", folder.path).code == 0
    assert mritk("leaderboard", folder.path).code == 0
    assert mritk("status", folder.path).code == 0
    code, found = states(mritk, folder)
    assert code == 1
    assert {state for _, state in found} == {"failed trial", "torn"}, "the view is not stale"
    assert states(mritk, folder, "--fix")[0] == 0
    assert len(list((folder.path / "quarantine").iterdir())) == 1


@pytest.mark.slow
def test_checkpoints_of_interrupted_trials_are_discarded_on_request_but_for_those_in_use(
    mritk, folder
):
    for name in ("left", "awaited", "claimed", "cccc"):
        beside = folder.checkpoint_path(name).with_suffix(".files")
        beside.mkdir(parents=True)
        (beside / "latest.pth").touch()
        folder.checkpoint_path(name).touch()

    def there():
        return {path.stem for path in (folder.path / "checkpoints").iterdir()}

    mritk("doctor", folder.path, "--fix")
    assert there() == {"left", "awaited", "claimed", "cccc"}, "they may hold hours of training"
    with announced(folder, [SimpleNamespace(id="awaited")]), claimed(folder, "claimed", wait=False):
        _, found = states(mritk, folder)
        assert ("checkpoints/left.ckpt", "interrupted trial") in found
        assert ("checkpoints/claimed.ckpt", "possibly in use") in found
        ended = mritk("doctor", folder.path, "--discard-checkpoints")
        assert ended.code == 0
        assert "\ndeleted checkpoints/left.ckpt\n" in ended.out
        assert "kept checkpoints/awaited.ckpt: a run that goes on needs it" in ended.out
        assert there() == {"awaited", "claimed", "cccc"}
    mritk("doctor", folder.path, "--discard-checkpoints")
    assert there() == {"cccc"}, "a failed trial is retried from its checkpoint"
