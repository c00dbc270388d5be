"""A results folder that is gone when a trial ends, and comes back."""

from __future__ import annotations

import logging
import shutil
import threading
import time

import pytest
import torch
from torch import nn

from mritk.errors import StoreError, Unavailable
from mritk.execute.away import wait_for, when_there
from mritk.execute.claim import claimed
from mritk.files.waiting import locked
from mritk.model.model_file import write_model
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import model_path
from mritk.train.checkpoint import Checkpoint

# Moves the results folder away within a trial; it comes back a moment later.
AWAY = """
import threading, time
from pathlib import Path
from mritk import hookimpl

RESULTS = Path({results!r})


def come_back():
    time.sleep(3)
    RESULTS.with_name("elsewhere").rename(RESULTS)


@hookimpl
def mritk_epoch_end(trial, epoch):
    if epoch.epoch == 2 and trial.seed == 0:
        RESULTS.rename(RESULTS.with_name("elsewhere"))
        threading.Thread(target=come_back).start()
"""


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    folder.require_writable()
    return folder


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("mritk.execute.away.LOOK_S", 0.01)


def test_a_folder_that_is_there_is_not_waited_for(results, caplog):
    assert wait_for(results)
    assert not caplog.text


def test_one_that_is_gone_is_waited_for_and_told(results, quick, caplog):
    away = results.path.rename(results.path.with_name("away"))
    results.path.mkdir()  # as where nothing is mounted
    assert not results.is_there()

    def come_back():
        time.sleep(0.1)
        results.path.rmdir()
        away.rename(results.path)

    threading.Thread(target=come_back).start()
    with caplog.at_level(logging.WARNING):
        assert wait_for(results)
    assert results.is_there()
    assert caplog.text.count("has disappeared; waiting up to 10 min") == 1


def test_one_that_is_gone_for_good_is_not_waited_for_forever(results, quick, monkeypatch):
    monkeypatch.setattr("mritk.execute.away.PATIENCE_S", 0.05)
    results.path.rename(results.path.with_name("away"))
    assert not wait_for(results)
    assert results.is_there(), "created anew"


@pytest.fixture
def returns(results, monkeypatch):
    """Take the folder away, in whole or from its mount point; it is back at the second look."""
    away = results.path.with_name("away")

    def come_back(seconds):
        if results.path.exists():
            shutil.rmtree(results.path)
        away.rename(results.path)

    monkeypatch.setattr("mritk.execute.away.sleep", come_back)

    def go(*, mounted):
        results.path.rename(away)
        if mounted:
            results.path.mkdir()

    return go


@pytest.mark.parametrize("mounted", [False, True])
def test_what_disappears_between_the_look_and_the_writing_is_waited_for_again(
    results, make_record, returns, mounted
):
    attempts = []

    def write():
        attempts.append(results.is_there())
        if len(attempts) == 1:
            returns(mounted=mounted)
        return results.write(make_record(), create=False)

    assert when_there(results, write).is_file()
    assert attempts == [True, True]


def test_what_was_written_beneath_a_place_without_its_disk_is_written_again(results, returns):
    place = model_path(results, "a")
    attempts = []

    def write():
        attempts.append(results.is_there())
        if len(attempts) == 1:
            returns(mounted=True)
        return write_model(nn.Linear(1, 1), {}, place)

    when_there(results, write)
    assert len(attempts) == 2
    assert place.is_file()


@pytest.mark.parametrize("error", [StoreError, Unavailable, OSError])
def test_what_was_away_for_a_moment_only_is_written_at_once(results, error):
    refusals = [error("stale file handle")]

    def write():
        if refusals:
            raise refusals.pop()
        return "written"

    assert when_there(results, write) == "written"


def test_one_that_is_gone_for_good_is_created_anew(results, make_record, quick, monkeypatch):
    monkeypatch.setattr("mritk.execute.away.PATIENCE_S", 0.05)
    results.path.rename(results.path.with_name("away"))
    assert when_there(results, lambda: results.write(make_record(), create=False)).is_file()


def test_one_that_cannot_be_written_is_an_error_at_once(results):
    def write():
        raise StoreError("no space left")

    with pytest.raises(StoreError, match="no space left"):
        when_there(results, write)


def write_index(results):
    results.index().write()


def write_view(results):
    with pytest.raises(StoreError):
        results.rebuild_view()


def write_network(results):
    with pytest.raises(StoreError):
        write_model(nn.Linear(1, 1), {}, model_path(results, "a"))


def make_folder_of_a_method(results):
    with pytest.raises(StoreError):
        Checkpoint(results.checkpoint_path("a"), {}, []).folder  # noqa: B018 - made when asked for


@pytest.mark.parametrize("write", [write_index, write_view, write_network, make_folder_of_a_method])
def test_nothing_else_brings_it_to_life_again(results, write):
    results.path.rename(results.path.with_name("away"))
    write(results)
    assert not results.path.exists()


def test_a_checkpoint_does_not_bring_it_to_life_again(results, caplog):
    checkpoint = Checkpoint(results.checkpoint_path("a"), {}, [])
    results.path.rename(results.path.with_name("away"))
    checkpoint.save({})
    checkpoint.close()
    assert not results.path.exists()
    assert "cannot be written (No such file or directory); the trial continues" in caplog.text


def test_nor_does_one_that_is_being_written_when_it_goes(results, monkeypatch):
    checkpoint = Checkpoint(results.checkpoint_path("a"), {}, [])
    save = torch.save

    def save_slowly(content, buffer):
        results.path.rename(results.path.with_name("away"))
        save(content, buffer)

    monkeypatch.setattr("torch.save", save_slowly)
    checkpoint.save({})
    checkpoint.close()
    assert not results.path.exists()


@pytest.mark.parametrize("mounted", [False, True])
def test_nor_does_a_claim(results, mounted):
    results.path.rename(results.path.with_name("away"))
    if mounted:
        results.path.mkdir()
    with claimed(results, "a", wait=False) as mine:
        assert mine
        assert not list(results.path.glob("*"))
    assert results.path.exists() == mounted


def test_nor_one_that_is_taken_when_it_goes(results, monkeypatch):
    away = results.path.with_name("away")

    def go_and_lock(path, *args, **kwargs):
        results.path.rename(away)
        return locked(path, *args, **kwargs)  # creates the folders above it

    monkeypatch.setattr("mritk.store.claims.locked", go_and_lock)
    with claimed(results, "a", wait=False) as mine:
        assert mine
        assert not results.path.exists()
    assert not results.path.exists()
    away.rename(results.path)
    assert results.is_there()


@pytest.mark.slow
@pytest.mark.parametrize("executor", [None, "processes"])
def test_a_run_outlasts_it(run_toy, tmp_path, executor, caplog):
    path = tmp_path / "results"
    (tmp_path / "away.py").write_text(AWAY.format(results=str(path)))
    chosen = ("--executor", executor) if executor else ()
    ended = run_toy("--seeds", 2, "--keep-models", "-p", tmp_path / "away.py", *chosen)
    assert ended.code == 0, ended.err
    if not executor:
        assert "has disappeared; waiting" in caplog.text
    trials = list(ResultsFolder(path).trials())
    assert [trial.status for trial in trials] == ["finished"] * 2
    assert all(model_path(ResultsFolder(path), trial.id).is_file() for trial in trials)
    assert "0 of 2 trials" not in ended.err
    assert not path.with_name("elsewhere").exists()
