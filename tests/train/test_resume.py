"""A training that was stopped resumes from its checkpoint as if it had not been."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from mritk import Augmentation
from mritk.protocol.recipe import Head, Stage
from mritk.train.checkpoint import Checkpoint
from tests.train.killable_training import make_setup, noise, outcome

# Each pair of what two settings may be occurs in one of them.
TRAININGS = [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 30))]


class Stop(BaseException):
    """What ends a process passes all handlers of errors."""


class Counting:
    """The augmentation of the trainings; it stops them at batch ``at``."""

    def __init__(self, at=None):
        self.at, self.count = at, 0

    def __call__(self, images, generator):
        if self.count == self.at:
            raise Stop
        self.count += 1
        return noise(images, generator)


def training(number, folder, at=None, every=None, images=44, **fields):
    setup = make_setup(number, folder, images)
    if every is not None:
        setup.checkpoint.every = every
    return replace(setup, augmentation=Augmentation("noise", Counting(at)), **fields)


def whole(number, folder, **fields):
    """Return the outcome of a training that nothing stops, and its number of batches."""
    setup = training(number, folder, **fields)
    try:
        return outcome(setup), setup.augmentation.apply.count
    finally:
        setup.checkpoint.close()
        setup.checkpoint.path.unlink()


def stopped(number, folder, at, **fields):
    """Train until batch ``at`` of this attempt; tell whether it was stopped before its end."""
    setup = training(number, folder, at, **fields)
    try:
        outcome(setup)
    except Stop:
        return True
    finally:
        setup.checkpoint.close()
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", TRAININGS)
def test_stops_at_random_batches_change_nothing(number, tmp_path):
    """Random stages, optimisers, schedules, early stopping, mixing, averages; see the module.

    Half of the trainings keep a checkpoint at each step, half at the ends of epochs alone; an
    epoch has two or three steps.
    """
    expected, batches = whole(number, tmp_path, images=20)
    rng = np.random.default_rng([number, 2026])
    for _ in range(3):
        stopped(number, tmp_path, at=int(rng.integers(batches + 1)), images=20)
    found, _ = whole(number, tmp_path, images=20)
    assert found == expected


@cache
def recipe():
    """Three stages, so that a stop can lie before, within and after the second."""
    stages = (
        Stage(epochs=2, name="head", train_last=0.0),
        Stage(epochs=2, name="all", learning_rate=1e-2, unfreeze_every=1, restart_selection=True),
        Stage(epochs=1, name="low", tune="lora"),
    )
    return replace(parameters_of(0), stages=stages, average=0.9, mixup=0.4)


def parameters_of(number):
    with TemporaryDirectory() as folder:
        setup = make_setup(number, Path(folder))
        setup.checkpoint.close()
        return setup.parameters


@cache
def unstopped():
    """Return the outcome of ``recipe`` and its number of batches; checkpoints change neither."""
    with TemporaryDirectory() as folder:
        return whole(0, Path(folder), parameters=recipe(), every=1e9)


@pytest.mark.slow
@pytest.mark.parametrize("every", [0.0, 1e9], ids=["each step", "each epoch"])
def test_a_stop_at_every_single_batch(tmp_path, every):
    """An attempt that makes one step and is stopped again gets nowhere without checkpoints in
    an epoch; five or six steps make an epoch here.
    """
    fields = {"parameters": recipe(), "every": every}
    expected, batches = unstopped()
    assert batches == 27
    steps, attempts = (1 if every == 0.0 else 6), 0
    while stopped(0, tmp_path, at=steps, **fields):
        attempts += 1
        assert attempts <= batches
    assert attempts == (26 if every == 0.0 else 4), "the last one came to the end"
    # Trained to the end, and yet the process ended before its trial file was written.
    assert whole(0, tmp_path, **fields) == (expected, 0)


@pytest.mark.slow
def test_a_training_that_is_resumed_repeats_no_step(tmp_path):
    fields = {"parameters": recipe(), "every": 0.0}
    _, batches = unstopped()
    assert stopped(0, tmp_path, at=8, **fields)
    assert whole(0, tmp_path, **fields)[1] == batches - 8


@pytest.mark.slow
def test_a_stop_after_the_last_step_of_an_epoch_and_before_its_end(tmp_path):
    """Nothing is left to be trained, and the validation part has not been looked at."""
    fields = {"parameters": recipe(), "every": 0.0}
    expected, batches = unstopped()
    setup = training(0, tmp_path, **fields)

    def stop(epoch):
        if epoch.epoch == 3:
            raise Stop

    history = setup.checkpoint.history
    setup = replace(setup, on_epoch=lambda e: (stop(e), history.append(e)))
    with pytest.raises(Stop):
        outcome(setup)
    setup.checkpoint.close()
    found, trained = whole(0, tmp_path, **fields)
    assert found == expected
    assert trained == batches - 16, "three epochs, of five, six and five batches"


@pytest.mark.slow
def test_a_head_that_began_as_a_probe_is_not_fitted_again(tmp_path):
    probed = replace(
        parameters_of(1),
        head=Head(),
        head_start="probe",
        stages=(Stage(epochs=2, learning_rate=1e-2),),
    )
    fields = {"parameters": probed, "every": 0.0}
    expected, _ = whole(1, tmp_path, **fields)
    for at in (3, 4):
        assert stopped(1, tmp_path, at=at, **fields)
    assert whole(1, tmp_path, **fields)[0] == expected


@pytest.mark.slow
def test_history_and_notes_are_those_of_the_whole_training(tmp_path):
    fields = {"parameters": recipe(), "every": 1e9}
    expected, _ = unstopped()
    assert stopped(0, tmp_path, at=17, **fields)
    found, trained = whole(0, tmp_path, **fields)
    assert trained == 11, "two of five epochs, of six and five batches"
    assert [line["epoch"] for line in found["history"]] == [1, 2, 3, 4, 5]
    assert [line["stage"] for line in found["history"]] == ["head", "head", "all", "all", "low"]
    assert found["history"] == expected["history"]
    assert list(found["notes"]["changed_tensors"]) == ["head", "all", "low"]
    assert found["notes"] == expected["notes"]


@pytest.mark.slow
def test_the_time_before_a_stop_counts(tmp_path, monkeypatch):
    """An epoch that was interrupted took as long as both of its parts."""
    clock = [0.0]

    def tick():
        clock[0] += 1.0
        return clock[0]

    monkeypatch.setattr("mritk.train.stage_run.time.perf_counter", tick)
    fields = {"parameters": recipe(), "every": 0.0}
    assert stopped(0, tmp_path, at=4, **fields)
    before = clock[0]
    setup = training(0, tmp_path, **fields)
    outcome(setup)
    setup.checkpoint.close()
    first = setup.checkpoint.history[0].seconds
    assert 4 <= first <= before + 10
    assert first > setup.checkpoint.history[1].seconds - 10


# -- checkpoints that must not be used ---------------------------------------------------------


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def of_another_trial(path):
    other = Checkpoint(path, {"trial": "7"}, [])
    other.save({"epoch": 1, "run": torch.zeros(3)})
    other.wait()
    other.close()


def of_another_version(path):
    other = Checkpoint(path, {"trial": "0", "torch": "1.0"}, [])
    other.save({"epoch": 1})
    other.wait()
    other.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (truncate, "it is damaged"),
        (flip_a_bit, "it is damaged"),
        (of_another_trial, "it belongs to trial 7, not 0"),
        (of_another_version, "it belongs to torch 1.0, not None"),
    ],
)
def test_what_must_not_be_used_is_told_and_the_trial_starts_again(tmp_path, caplog, harm, reason):
    fields = {"parameters": recipe(), "every": 0.0}
    expected = unstopped()
    assert stopped(0, tmp_path, at=12, **fields)
    path = tmp_path / "trial.ckpt"
    harm(path)
    with caplog.at_level(logging.WARNING, "mritk"):
        found = whole(0, tmp_path, **fields)
    assert found == expected, "the same result, from all batches"
    (told,) = [record.getMessage() for record in caplog.records if "checkpoint" in record.message]
    assert told == f"checkpoint {path} is not used: {reason}; the trial restarts"
