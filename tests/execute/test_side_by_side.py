"""Trials side by side in lanes of one device are those that run one after the other.

On a CPU, where lanes take turns as on a GPU; tests/gpu has the same there.
"""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from mritk.errors import OutOfMemory
from mritk.machine import device
from mritk.machine.lanes import at_once
from mritk.store.folder import ResultsFolder
from mritk.train import step as training_step
from mritk.train.stage_run import StageRun
from tests.execute.test_serial import DIARY, lines


@pytest.fixture
def in_lanes(monkeypatch):
    """Let trials run in lanes, as they do where there is one GPU."""
    monkeypatch.setattr(device, "is_one_gpu", lambda wish: True)


@pytest.fixture
def diary(tmp_path):
    path = tmp_path / "diary.py"
    path.write_text(DIARY)
    return path


def trials_in(folder):
    return sorted(ResultsFolder(folder).trials(), key=lambda trial: trial.seed)


def assert_equal(found, expected):
    assert [trial.id for trial in found] == [trial.id for trial in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.status == other.status == "finished"
        for part, predictions in other.predictions.items():
            np.testing.assert_array_equal(one.predictions[part].score, predictions.score)
        losses = [[e.train_loss for e in trial.history] for trial in (one, other)]
        assert losses[0] == losses[1]


@pytest.mark.slow
def test_the_trials_are_bit_identical_to_those_that_run_alone(run_toy, tmp_path, in_lanes, diary):
    assert run_toy("--seeds", 3, "--jobs", 1, "-o", tmp_path / "alone").code == 0
    assert run_toy("--seeds", 3, "--jobs", 3, "-o", tmp_path / "beside", "-p", diary).code == 0
    found = trials_in(tmp_path / "beside")
    assert_equal(found, trials_in(tmp_path / "alone"))
    assert {trial.cost["trials_at_once"] for trial in found} == {3}
    told = lines(diary)
    begins = [told.index(f"trial {seed + 1} of 3 seed {seed}") for seed in range(3)]
    ends = [told.index(f"finished seed {seed} well True") for seed in range(3)]
    assert max(begins) < min(ends), "they were trained at once"


@pytest.mark.slow
def test_costs_beside_others_are_marked_and_shared(run_toy, tmp_path, in_lanes):
    run_toy("--seeds", 2, "--jobs", 2)
    for trial in trials_in(tmp_path / "results"):
        assert trial.cost["trials_at_once"] == 2
        assert not [name for name in trial.cost if name.startswith("peak_")]


@pytest.mark.slow
def test_a_trial_that_runs_out_of_memory_beside_others_is_trained_again_alone(
    run_toy, tmp_path, in_lanes, monkeypatch, caplog
):
    real, short = training_step.TrainingStep._accumulate, []

    def accumulate(self, images, targets):
        if at_once() > 1 and not short:
            short.append(True)
            raise RuntimeError("CUDA error: out of memory")
        return real(self, images, targets)

    monkeypatch.setattr(training_step.TrainingStep, "_accumulate", accumulate)
    with caplog.at_level(logging.WARNING, "mritk"):
        assert run_toy("--seeds", 2, "--jobs", 2).code == 0
    assert short
    assert not [record for record in caplog.records if "micro-batches" in record.message]
    monkeypatch.undo()
    assert run_toy("--seeds", 2, "--jobs", 1, "-o", tmp_path / "alone").code == 0
    assert_equal(trials_in(tmp_path / "results"), trials_in(tmp_path / "alone"))


@pytest.mark.slow
def test_a_trial_that_has_too_little_memory_alone_fails(run_toy, tmp_path, in_lanes, monkeypatch):
    real = StageRun.step

    def step(self, images, targets, epoch):
        if self.training.setup.seed == 0:
            raise OutOfMemory("planted")
        real(self, images, targets, epoch)

    monkeypatch.setattr(StageRun, "step", step)
    assert run_toy("--seeds", 2, "--jobs", 2).code != 0
    assert [trial.status for trial in trials_in(tmp_path / "results")] == ["failed", "finished"]


@pytest.mark.slow
def test_a_failure_in_one_lane_harms_no_other(run_toy, tmp_path, in_lanes, monkeypatch):
    real = StageRun.step

    def step(self, images, targets, epoch):
        real(
            self, images * float("nan") if self.training.setup.seed == 1 else images, targets, epoch
        )

    monkeypatch.setattr(StageRun, "step", step)
    assert run_toy("--seeds", 3, "--jobs", 3).code != 0
    found = trials_in(tmp_path / "results")
    assert [trial.status for trial in found] == ["finished", "failed", "finished"]
    assert found[1].failure.type == "NonFiniteLoss"


@pytest.mark.slow
def test_a_run_that_is_interrupted_continues_to_the_same_bits(
    run_toy, tmp_path, in_lanes, monkeypatch
):
    real, steps = StageRun.batches, []

    def batches(self, epoch):
        steps.append(epoch)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return real(self, epoch)

    monkeypatch.setattr(StageRun, "batches", batches)
    assert run_toy("--seeds", 2, "--jobs", 2).code == 130
    assert not list((tmp_path / "results").glob("claims/*")), "no claim is left"
    monkeypatch.setattr(StageRun, "batches", real)
    assert run_toy("--seeds", 2, "--jobs", 2).code == 0
    found = trials_in(tmp_path / "results")
    assert any("resumed_after_epochs" in trial.cost for trial in found)
    assert run_toy("--seeds", 2, "--jobs", 1, "-o", tmp_path / "alone").code == 0
    assert_equal(found, trials_in(tmp_path / "alone"))


TOLD_TO_END = """
import itertools, os, signal
from pathlib import Path
from mritk import Augmentation, hookimpl

ONCE = Path(__file__).with_suffix(".once")
count = itertools.count(1)  # two threads never get one number


def apply(images, generator):
    if next(count) == 9 and ONCE.exists():
        ONCE.unlink()
        os.kill(os.getpid(), signal.SIGTERM)
    return images


@hookimpl
def mritk_augmentations():
    yield Augmentation("told", apply)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_all_lanes_are_checkpointed_when_the_run_must_end(run_toy, tmp_path, in_lanes):
    """And go on where they were, alone or side by side."""
    (tmp_path / "told.py").write_text(TOLD_TO_END)
    (tmp_path / "told.once").touch()
    arguments = ("-p", tmp_path / "told.py", "-a", "told", "--seeds", 3)
    ended = run_toy(*arguments, "--jobs", 2)
    assert ended.code == 130
    assert "0 of 3 trials are stored" in ended.err
    assert "2 interrupted with a checkpoint" in ended.err
    assert run_toy(*arguments, "--jobs", 2).code == 0
    assert run_toy(*arguments, "-o", tmp_path / "whole").code == 0
    assert_equal(trials_in(tmp_path / "results"), trials_in(tmp_path / "whole"))
