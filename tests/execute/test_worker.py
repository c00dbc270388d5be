"""A worker that does several jobs side by side does what it does with one after the other.

On a CPU, where lanes take turns as on a GPU.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from mritk.errors import OutOfMemory
from mritk.execute.notice import Notice
from mritk.execute.worker import run_jobs, work
from mritk.machine.lanes import at_once
from mritk.store.folder import ResultsFolder
from mritk.train.stage_run import StageRun
from tests.trial_essence import essence

pytestmark = pytest.mark.slow

# Does jobs as the last of the ways says.
EXECUTOR = """
from mritk import Executor, hookimpl
from tests.execute.test_worker import ways


@hookimpl
def mritk_executors():
    yield Executor("planted", lambda function, jobs, at_once: ways[-1](function, jobs))
"""
ways = []


@pytest.fixture
def run_by(run_toy, tmp_path, monkeypatch):
    """Run with an executor that is a function of this test: of ``work`` and the jobs."""
    import torch

    plugin = tmp_path / "planted.py"
    plugin.write_text(EXECUTOR)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

    def run(way, *arguments, folder="results"):
        ways.append(way)
        options = ("-p", plugin, "--executor", "planted", "-o", tmp_path / folder)
        return run_toy("--seeds", 3, *options, *arguments)

    return run


def beside(_, jobs):
    for _, done in run_jobs(jobs, 3):
        yield done


def one_by_one(function, jobs):
    return map(function, jobs)


def trials(folder):
    return sorted(ResultsFolder(folder).trials(), key=lambda trial: trial.seed)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_trial_files_are_the_same_bit_for_bit(run_by, tmp_path, device):
    how = ("--device", device, "--deterministic")
    assert run_by(beside, *how).code == 0
    assert run_by(one_by_one, *how, folder="alone").code == 0
    assert essence(tmp_path / "results") == essence(tmp_path / "alone")
    assert {trial.cost["trials_at_once"] for trial in trials(tmp_path / "results")} == {3}


def test_on_a_processor_several_jobs_are_done_one_after_the_other(run_by, tmp_path):
    told = []

    def listed(function, jobs):
        assert function is work
        for number, done in function(list(jobs)):
            told.append((number, done.trial == jobs[number].trial))
            yield done

    assert run_by(listed).code == 0
    assert told == [(0, True), (1, True), (2, True)]
    assert not [t for t in trials(tmp_path / "results") if t.cost.get("trials_at_once", 1) > 1]


def test_behind_each_job_a_worker_returns_the_memory_of_its_gpu(run_by, monkeypatch):
    returned = []
    monkeypatch.setattr("mritk.execute.worker.return_device_memory", lambda: returned.append(True))
    assert run_by(one_by_one).code == 0
    assert returned == [True] * 3


def test_what_fails_on_a_broken_gpu_is_a_result_too(run_by, tmp_path, monkeypatch):
    """Such a GPU refuses whatever it is asked for, so nothing more is."""

    def broken(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(StageRun, "step", broken)
    monkeypatch.setattr("mritk.execute.worker.return_device_memory", broken)
    assert run_by(one_by_one).code == 3
    assert [trial.failure.type for trial in trials(tmp_path / "results")] == ["RuntimeError"] * 3


def test_a_failure_harms_no_other_job(run_by, tmp_path, monkeypatch):
    """Neither one of the training, nor one before it."""
    real = StageRun.step

    def step(self, images, targets, epoch):
        factor = float("nan") if self.training.setup.seed == 1 else 1.0
        real(self, images * factor, targets, epoch)

    monkeypatch.setattr(StageRun, "step", step)

    def beside_an_unknown(_, jobs):
        unknown = replace(jobs[0], trial="f" * 16)
        for number, done in run_jobs([unknown, *jobs], 3):
            assert done.leaving == (number == 2), "what failed may have harmed its process"
            if number == 0:
                assert "does not contain trial" in done.error
            else:
                yield done

    ended = run_by(beside_an_unknown)
    assert ended.code == 3
    found = trials(tmp_path / "results")
    assert [trial.status for trial in found] == ["finished", "failed", "finished"]
    assert found[1].failure.type == "NonFiniteLoss"


def test_what_runs_out_of_memory_beside_others_is_trained_again_alone(
    run_by, tmp_path, monkeypatch
):
    real, short = StageRun.step, []

    def step(self, images, targets, epoch):
        if at_once() > 1 and not short:
            short.append(True)
            raise OutOfMemory("planted")
        real(self, images, targets, epoch)

    monkeypatch.setattr(StageRun, "step", step)
    assert run_by(beside).code == 0
    assert short
    assert [trial.status for trial in trials(tmp_path / "results")] == ["finished"] * 3


def test_sigterm_ends_all_jobs_with_a_checkpoint_and_they_go_on(run_by, tmp_path, monkeypatch):
    real, steps = StageRun.step, []

    def step(self, images, targets, epoch):
        steps.append(epoch)
        if len(steps) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        real(self, images, targets, epoch)

    monkeypatch.setattr(StageRun, "step", step)
    turns = []

    def ended(_, jobs):
        turns.append([])
        for _, done in run_jobs(jobs, 3):
            turns[-1].append((done.stopped, done.leaving))
            yield done

    assert run_by(ended).code == 0
    assert turns == [[(True, True)] * 3, [(False, False)] * 3]
    found = trials(tmp_path / "results")
    assert any("resumed_after_epochs" in trial.cost for trial in found)
    monkeypatch.undo()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run_by(one_by_one, folder="alone").code == 0
    assert essence(tmp_path / "results") == essence(tmp_path / "alone")


def test_a_trial_that_waited_too_long_for_its_lane_is_not_begun(run_by, tmp_path, monkeypatch):
    """It was planned when there was time enough for it."""
    answers = iter([True, True, True])  # both are planned, and the first one is begun
    monkeypatch.setattr(Notice, "fits", lambda notice, seconds: next(answers, False))
    told = []

    def late(_, jobs):
        for _, done in run_jobs(jobs, 1):
            told.append(done.stopped)
            yield done

    run_by(late)
    assert told == [False, True, True]
    assert [trial.status for trial in trials(tmp_path / "results")] == ["finished"]


def test_a_worker_that_cannot_reach_the_folder_says_so_of_each_job(run_by, tmp_path):
    told = []

    def far(_, jobs):
        for _, done in run_jobs([replace(job, folder=tmp_path / "gone") for job in jobs], 3):
            told.append(done.error)
            yield done

    assert run_by(far).code == 4
    assert len(told) == 3
    assert all(text.startswith("the worker cannot access the folder") for text in told)
