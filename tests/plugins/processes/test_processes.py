"""Trials at once in processes give what they give one after the other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mritk.results.folder import ResultsFolder
from mritk_processes import run

DYING = """
import os
from mritk import Augmentation, hookimpl


def die(images, generator):
    os._exit(7)


@hookimpl
def mritk_augmentations():
    yield Augmentation("dying", die)
"""

DIARY = """
from mritk import hookimpl

PATH = {path!r}


def note(text):
    with open(PATH, "a") as stream:
        stream.write(text + "\\n")


@hookimpl
def mritk_trial_start(trial, position, total):
    note(f"start {{position}} of {{total}}")


@hookimpl
def mritk_epoch_end(epoch):
    note(f"epoch {{epoch.epoch}}")


@hookimpl
def mritk_trial_finish(outcome):
    note(f"finish {{outcome.path.exists()}}")
"""


def cube(number):
    return number**3


def test_results_come_as_they_are_ready():
    assert sorted(run(cube, [1, 2, 3], 2)) == [1, 8, 27]


@pytest.fixture
def one_thread(monkeypatch):
    """The number of threads changes results by rounding."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)


@pytest.mark.slow
def test_predictions_equal_those_of_a_run_in_this_process(run_toy, tmp_path, one_thread):
    assert run_toy("--seeds", 2).code == 0
    ended = run_toy("--seeds", 2, "--jobs", 2, "-o", tmp_path / "apart")
    assert ended.code == 0, ended.err
    here = {t.id: t for t in ResultsFolder(tmp_path / "results").trials()}
    apart = {t.id: t for t in ResultsFolder(tmp_path / "apart").trials()}
    assert here.keys() == apart.keys()
    for name, trial in here.items():
        assert np.array_equal(
            trial.predictions["test"].score, apart[name].predictions["test"].score
        )
        assert apart[name].provenance["command"] == trial.provenance["command"]
    assert run_toy("--seeds", 2, "--jobs", 2, "-o", tmp_path / "apart", "-n").out.count("done") == 2


@pytest.mark.slow
def test_a_worker_that_dies_is_a_failed_trial_and_the_others_go_on(run_toy, tmp_path):
    (tmp_path / "dying.py").write_text(DYING)
    ended = run_toy(
        *("-p", tmp_path / "dying.py", "-a", "dying", "-a", "none", "--seeds", 1),
        *("--executor", "processes"),
    )
    assert ended.code == 3
    assert "tiny@scratch on bands seed 0: the worker of executor processes" in ended.err
    stored = list(ResultsFolder(tmp_path / "results").trials())
    assert [trial.augmentation for trial in stored] == ["none"]


@pytest.mark.slow
def test_plugins_are_told_of_each_trial_when_it_is_done(run_toy, tmp_path):
    (tmp_path / "diary.py").write_text(DIARY.format(path=str(tmp_path / "diary.txt")))
    run_toy("-p", tmp_path / "diary.py", "--seeds", 1, "--executor", "processes")
    told = (tmp_path / "diary.txt").read_text().split("\n")
    # Workers load the plugin as well; only the run itself tells it of moments.
    assert told == ["start 1 of 1", "epoch 1", "epoch 2", "epoch 3", "finish True", ""]


def test_an_unknown_executor_is_told_before_anything_is_read(run_toy):
    ended = run_toy("--executor", "proceses")
    assert ended.code == 2
    assert "unknown executor 'proceses'; did you mean processes?" in ended.err
    assert "preparing data" not in ended.err


def test_executors_and_explainers_are_listed(mritk):
    names = {row["name"] for row in json.loads(mritk("list", "executors", "--json").out)}
    assert "processes" in names
    names = {row["name"] for row in json.loads(mritk("list", "explainers", "--json").out)}
    assert {"saliency", "integrated_gradients"} <= names
