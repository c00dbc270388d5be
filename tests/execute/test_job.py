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


@pytest.mark.slow
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


READ = """
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mritk import Classification, Dataset, Method, Samples, hookimpl

READS = Path(__file__).parent / "reads.txt"


def open_with(spatial_dims):
    def read(i):
        with READS.open("a") as stream:
            print(i, file=stream)
        pixels = np.random.default_rng(i).integers(0, 255, (32, 32)).astype(np.uint8)
        return pixels if spatial_dims else pixels[0]

    return Samples(
        ids=[f"s{i:02d}" for i in range(40)],
        targets=np.arange(40) % 2,
        task=Classification(("even", "odd")),
        read=read,
        patients=[f"p{i:02d}" for i in range(40)],
        spatial_dims=spatial_dims,
    )


class Chance:
    notes = {}

    def predict(self, subset):
        return np.zeros((len(subset), 2), dtype=np.float32)


@dataclass(frozen=True)
class Nothing:
    pass


@hookimpl
def mritk_datasets():
    yield Dataset("noise", lambda workspace: open_with(2))
    yield Dataset("signals", lambda workspace: open_with(None))


@hookimpl
def mritk_methods():
    yield Method("chance", lambda setup: Chance(), Nothing, uses_backbone=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["noise", "signals"])
def test_a_worker_reads_and_digests_no_sample_that_was_read_for_the_plan(
    mritk, elsewhere, tmp_path, dataset
):
    """Signals do not lie on a grid: only a method of their own reads them."""
    (tmp_path / "read.py").write_text(READ)
    (tmp_path / "chance.toml").write_text('method = "chance"\naugmentation = "none"\n')
    counted = tmp_path / "reads.txt"
    options = ("-p", "./read.py", "-d", dataset, "--protocol", "chance.toml", "--seeds", "2")
    reads = []
    for way in (("-n",), ("-n",), ("-p", "./elsewhere.py", "--executor", "elsewhere")):
        counted.write_text("")
        ended = mritk("run", *options, "-o", "results", *way)
        assert ended.code == 0, ended.err
        reads.append(len(counted.read_text().splitlines()))
    assert len(list(ResultsFolder(tmp_path / "results").trials())) == 2
    assert 0 < reads[1] == reads[2] <= reads[0], "by the plan, and by no worker"


@pytest.mark.slow
def test_a_rehearsal_needs_all_backbones_to_find_its_size(elsewhere, tmp_path):
    ended = elsewhere("-b", "small_cnn", "--rehearse")
    assert ended.code == 0, ended.err
    told = (tmp_path / "jobs.txt").read_text().splitlines()
    assert [line.split()[:3] for line in told] == [["bands", "tiny", "small_cnn"]] * 2


def test_a_worker_without_the_folder_says_so(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr("mritk.cli.run.Path.cwd", classmethod(lambda cls: tmp_path / "gone"))
    ended = elsewhere("--seeds", 1)
    assert ended.code == 4
    assert "the worker cannot access the folder" in ended.err
