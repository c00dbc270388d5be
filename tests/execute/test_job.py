"""A job says all that a worker needs to train one trial, wherever the worker stands."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder

ELSEWHERE = """
import os
import pickle
from pathlib import Path

from mritk import Executor, hookimpl

HERE = Path(__file__).parent


def run(function, jobs, at_once):
    for job in jobs:
        job = pickle.loads(pickle.dumps(job))
        told = job.benchmark
        with (HERE / "jobs.txt").open("a") as stream:
            print(*told.datasets, *told.backbones, *told.protocols, dict(told.vary),
                  *told.augmentations, *told.seeds, *told.folds, job.engine.device, file=stream)
        os.chdir(HERE / "other")
        done = function(job)
        os.chdir(HERE)
        yield done


@hookimpl
def mritk_executors():
    yield Executor("elsewhere", run, summary="in another folder")
"""


@pytest.fixture
def elsewhere(mritk, toy, fast_protocol, tmp_path, monkeypatch):
    """Run in ``tmp_path`` with relative paths, on a worker that stands in another folder."""
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        plugins = ("-p", "./toy.py", "-p", "./elsewhere.py")
        base = ("run", *plugins, "-o", "results", "--executor", "elsewhere", "-b", "tiny")
        return mritk(*base, "--protocol", "fast.toml", "-d", "bands", *arguments)

    return run


def test_relative_paths_mean_the_same_to_a_worker_in_another_folder(elsewhere, tmp_path):
    ended = elsewhere("--seeds", 1)
    assert ended.code == 0, ended.err
    assert len(list(ResultsFolder(tmp_path / "results").trials())) == 1


@pytest.mark.slow
def test_a_worker_is_asked_for_one_trial_and_chooses_its_device(elsewhere, tmp_path):
    """So it opens the data of that trial alone, and its GPU need not be here."""
    vary = ("--vary", "parameters.batch_size=8,16")
    ended = elsewhere("-a", "none", "-a", "flip", "--seeds", 2, *vary)
    assert ended.code == 0, ended.err
    told = (tmp_path / "jobs.txt").read_text().splitlines()
    assert sorted(told) == sorted(
        f"bands tiny fast.toml {{'parameters.batch_size': [{size}]}} {name} {seed} 0 auto"
        for size in (8, 16)
        for name in ("none", "flip")
        for seed in (0, 1)
    )


def test_a_rehearsal_needs_all_backbones_to_find_its_size(elsewhere, tmp_path):
    ended = elsewhere("-b", "small_cnn", "--rehearse")
    assert ended.code == 0, ended.err
    told = (tmp_path / "jobs.txt").read_text().splitlines()
    assert [line.split()[:3] for line in told] == [["bands", "tiny", "small_cnn"]] * 2


def test_a_worker_without_the_folder_says_so(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr("mritk.cli.run.Path.cwd", classmethod(lambda cls: tmp_path / "gone"))
    ended = elsewhere("--seeds", 1)
    assert ended.code == 4
    assert "this worker has no folder" in ended.err
