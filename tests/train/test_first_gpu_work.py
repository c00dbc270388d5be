"""What must stand before the first work of a process on a GPU; torch refuses it afterwards."""

from __future__ import annotations

import os

import pytest
import torch

from mritk.machine.device import repeatable
from mritk.machine.peak_memory import PeakMemory

CONFIG = "CUBLAS_WORKSPACE_CONFIG"


@pytest.fixture
def no_gpu_work_yet(monkeypatch):
    """A GPU as torch shows it: its memory can be reset only once CUDA has been initialised."""
    begun = []

    def reset(device):
        if not begun:
            raise RuntimeError("Invalid device argument 0: did you call init?")

    monkeypatch.setattr(torch.cuda, "init", lambda: begun.append(True))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7)


def test_memory_is_measured_from_before_the_first_work_on(no_gpu_work_yet):
    assert PeakMemory("cuda:0").measured()["peak_device_memory_bytes"] == 7


@pytest.fixture
def random_state(monkeypatch):
    """The part of ``fork_rng`` that asks a GPU."""
    monkeypatch.setenv(CONFIG, "")  # so that the end of the test puts back what was there
    monkeypatch.delenv(CONFIG)
    state = torch.get_rng_state()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)


def test_a_first_trial_that_is_not_deterministic_leaves_room_for_one_that_is(random_state):
    """torch reads the variable once in the life of a process."""
    with repeatable("cuda:0", deterministic=False):
        assert os.environ[CONFIG] == ":4096:8"


def test_a_users_own_workspace_is_kept(random_state, monkeypatch):
    monkeypatch.setenv(CONFIG, ":16:8")
    with repeatable("cuda:0", deterministic=False):
        assert os.environ[CONFIG] == ":16:8"


def test_without_a_gpu_the_environment_is_left_alone(random_state):
    with repeatable("cpu", deterministic=True):
        assert CONFIG not in os.environ
