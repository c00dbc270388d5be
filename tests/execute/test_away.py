"""A results folder that is gone when a trial ends, and comes back."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from mritk.execute.away import wait_for
from mritk.store.folder import ResultsFolder
from mritk.train.checkpoint import Checkpoint

# Moves the results folder away within a trial; it comes back a moment later.
AWAY = """
import threading, time
from pathlib import Path
from mritk import hookimpl

RESULTS = Path({results!r})


def come_back():
    time.sleep(1.5)
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
    assert not results.is_there()


def test_a_checkpoint_does_not_bring_it_to_life_again(results, caplog):
    checkpoint = Checkpoint(results.checkpoint_path("a"), {}, [])
    results.path.rename(results.path.with_name("away"))
    checkpoint.save({})
    checkpoint.close()
    assert not results.path.exists()
    assert "cannot be written (No such file or directory); the trial continues" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("executor", [None, "processes"])
def test_a_run_outlasts_it(run_toy, tmp_path, executor):
    path = tmp_path / "results"
    (tmp_path / "away.py").write_text(AWAY.format(results=str(path)))
    chosen = ("--executor", executor) if executor else ()
    ended = run_toy("--seeds", 2, "-p", tmp_path / "away.py", *chosen)
    assert ended.code == 0, ended.err
    assert [t.status for t in ResultsFolder(path).trials()] == ["finished"] * 2
    assert "0 of 2 trials" not in ended.err
    assert not path.with_name("elsewhere").exists()
