"""A results folder that goes away while trials are trained: what is lost is named, nothing is 0."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import h5py
import pytest

from mritk.store.folder import ResultsFolder

MEANWHILE = """

@hookimpl
def mritk_trial_finish(trial, outcome):
    import pathlib, shutil
    if trial.seed == 0:
        {what}
"""


@pytest.fixture
def meanwhile(run_toy, toy, tmp_path):
    """Run two seeds; ``what`` happens when the first one is stored."""

    def run(what):
        toy.write_text(toy.read_text() + MEANWHILE.format(what=what))
        return run_toy("--seeds", 2), ResultsFolder(tmp_path / "results")

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [
        "shutil.rmtree(outcome.path.parents[1])",
        "outcome.path.parents[1].rename(outcome.path.parents[2] / 'moved')",
        "outcome.path.unlink()",
    ],
    ids=["deleted", "moved", "one file deleted"],
)
def test_a_trial_that_is_not_there_any_more_is_lost_and_the_others_are_kept(
    meanwhile, what, monkeypatch
):
    monkeypatch.setattr("mritk.execute.away.PATIENCE_S", 0.1)
    ended, folder = meanwhile(what)
    assert ended.code == 3
    assert "lost: tiny@scratch on bands seed 0" in ended.err
    assert [trial.seed for trial in folder.trials()] == [1]


@pytest.mark.slow
def test_a_trial_that_cannot_be_written_is_named_and_not_the_view(run_toy, tmp_path, monkeypatch):
    """A drive that was mounted anew, for reading only."""
    read_only = OSError(errno.EROFS, os.strerror(errno.EROFS))

    def refuse(descriptor):
        raise read_only

    assert run_toy("--seeds", 1).code == 0  # what the caches keep is written
    monkeypatch.setattr(os, "fsync", refuse)
    ended = run_toy("--seeds", 2)
    assert ended.code == 3
    trial, *_ = [line for line in ended.err.splitlines() if "mritk: cannot write" in line]
    assert "/trials/" in trial
    assert "Read-only file system" in trial


@pytest.mark.slow
def test_a_run_with_nothing_to_do_renews_a_view_that_a_kill_left_behind(run_toy, tmp_path):
    assert run_toy("--seeds", 1).code == 0
    view = tmp_path / "results" / "results.h5"
    view.unlink()
    assert run_toy("--seeds", 1).code == 0
    with h5py.File(view) as file:
        assert len(file["trials"]) == 1


@pytest.mark.slow
def test_a_run_with_nothing_to_do_keeps_the_scores_in_the_view(run_toy, mritk, tmp_path):
    assert run_toy("--seeds", 1).code == 0
    assert mritk("rescore", tmp_path / "results").code == 0
    before = (tmp_path / "results" / "results.h5").read_bytes()
    assert run_toy("--seeds", 1).code == 0
    assert (tmp_path / "results" / "results.h5").read_bytes() == before


def test_a_folder_that_is_gone_does_not_come_to_life_for_a_view(make_record, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    folder.write(make_record(id="aaaa"))
    shutil.rmtree(folder.path)
    folder.tidy()
    assert not folder.path.exists()


@pytest.mark.slow
def test_where_nothing_is_to_do_nothing_need_be_written(run_toy, monkeypatch):
    """A results folder on a drive that is mounted for reading only."""
    assert run_toy("--seeds", 1).code == 0
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)

    def refuse(self):
        raise AssertionError("a run with nothing to do tried to write")

    monkeypatch.setattr(ResultsFolder, "require_writable", refuse)
    assert run_toy("--seeds", 1).code == 0


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_deleted_takes_nothing_from_a_stored_trial(
    run_toy, tmp_path, monkeypatch
):
    read_only = OSError(errno.EROFS, os.strerror(errno.EROFS))
    unlink = Path.unlink

    def refuse(path, **options):
        if path.suffix == ".ckpt":
            raise read_only
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert run_toy("--seeds", 1).code == 0
    assert len(list(ResultsFolder(tmp_path / "results").trials())) == 1
