"""How many trials run at once where nobody says so."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from mritk.execute import at_once
from mritk.execute.at_once import OF_A_PROCESS, PER_PIXEL, trials_at_once
from mritk.protocol.recipe import Probe
from mritk.trial import Trial

GIB = 2**30


class FakeTrial(SimpleNamespace):
    """What is asked of a trial."""

    input_size = Trial.input_size


@dataclass(frozen=True, eq=False)
class FakeSamples:
    """What is asked of samples."""

    spatial_dims: int | None
    shape: tuple[int, ...]
    channels: tuple[str, ...] = ()

    def read(self, _):
        return np.zeros(self.shape, np.uint8)


def trials(
    count, *, size=96, batch=16, dims=2, declared=None, epochs=(1, 8), train=10_000, shape=None
):
    """Trials on images or volumes of one size."""
    channels = ("t1", "t2") if shape and shape[0] == 2 else ()
    samples = FakeSamples(dims, shape or (), channels)
    stages = [SimpleNamespace(epochs=number) for number in epochs]
    trial = FakeTrial(
        dataset=SimpleNamespace(samples=samples),
        protocol=SimpleNamespace(
            image_size=size if dims == 2 else None,
            volume_size=size if dims == 3 else None,
            parameters=SimpleNamespace(**{"batch_size": batch} if batch else {}, stages=stages),
        ),
        backbone=SimpleNamespace(input=SimpleNamespace(size=declared)),
        division=SimpleNamespace(train=range(train)),
    )
    return [trial] * count


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be a machine."""

    def pretend(cores, free=1024 * GIB, gpus=0, threads=None):
        monkeypatch.setattr(at_once, "available_cores", lambda: cores)
        monkeypatch.setattr(at_once, "available_bytes", lambda: free)
        monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if threads is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", str(threads))

    return pretend


@pytest.mark.parametrize(
    ("cores", "count", "expected"), [(1, 4, 1), (2, 4, 2), (8, 3, 3), (8, 1, 1), (4, 0, 1)]
)
def test_one_per_core_and_no_more_than_there_are(machine, cores, count, expected):
    machine(cores)
    assert trials_at_once(trials(count), "cpu") == expected


def test_what_a_person_says_of_threads_divides_the_cores(machine):
    machine(8, threads=4)
    assert trials_at_once(trials(10), "cpu") == 2
    machine(2, threads=4)
    assert trials_at_once(trials(10), "cpu") == 1


@pytest.mark.parametrize(
    ("kwargs", "values"),
    [
        ({"size": 224, "batch": 32}, 224**2 * 32),
        ({"size": None, "declared": 128}, 128**2 * 16),
        ({"size": None, "declared": (96, 64)}, 96 * 64 * 16),
        ({"size": None, "shape": (200, 100)}, 200 * 100 * 16),
        ({"size": None, "shape": (200, 100, 3)}, 200 * 100 * 16),
        ({"size": None, "shape": (2, 200, 100)}, 200 * 100 * 16),
        ({"size": None, "dims": 3, "shape": (32, 40, 48)}, 32 * 40 * 48 * 16),
        ({"size": 64, "dims": 3, "batch": 4}, 64**3 * 4),
        ({"batch": None}, 96**2),
    ],
    ids=[
        "standard",
        "declared",
        "unequal sides",
        "as they are",
        "colour",
        "channels",
        "volumes as they are",
        "volumes",
        "no batches",
    ],
)
def test_as_many_as_the_memory_holds(machine, kwargs, values):
    each = OF_A_PROCESS + PER_PIXEL * values
    for fitting in (1, 3):
        machine(16, free=fitting * each + each // 2)
        assert trials_at_once(trials(9, **kwargs), "cpu") == fitting
    machine(16, free=each // 2)
    assert trials_at_once(trials(9, **kwargs), "cpu") == 1


def test_what_is_over_before_processes_have_started_runs_in_this_one(machine):
    machine(8)
    # The quickstart: 2 of 4 trials learn in seconds, and all show 104 million pixels.
    assert trials_at_once(trials(4, train=312), "cpu") == 4
    assert trials_at_once(trials(1, train=312) * 16, "cpu") == 8
    assert trials_at_once(trials(16, size=16, epochs=(3,), train=192), "cpu") == 1
    assert trials_at_once(trials(4, dims=None), "cpu") == 1


def test_trials_on_shared_features_run_in_this_process(machine):
    """25 linear probes of 480 images took 34 s in two processes, and 19 s in one."""
    machine(8)
    (trial,) = trials(1, size=224)
    trial.protocol.parameters = Probe()
    assert trials_at_once([trial] * 25, "cpu") == 1
    machine(8, gpus=2)
    assert trials_at_once([trial] * 25, "auto") == 2


def test_one_per_gpu(machine):
    machine(16, gpus=4)
    assert trials_at_once(trials(9), "auto") == 4
    assert trials_at_once(trials(9), "cuda") == 4
    assert trials_at_once(trials(2), "auto") == 2
    assert trials_at_once(trials(9), "cuda:2") is None, "as many as pay, side by side"
    assert trials_at_once(trials(9), "cpu") == 9


def test_a_gpu_that_is_not_there_leaves_the_cores(machine):
    machine(2, gpus=0)
    assert trials_at_once(trials(9), "auto") == 2
