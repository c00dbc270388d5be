"""Threads of torch: all the cores there are, shared by the processes that train at once."""

from __future__ import annotations

import pytest
import torch

from mritk.machine import threads
from mritk.machine.threads import use_available_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(("jobs", "expected"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_threads_times_jobs_are_never_above_the_cores_unless_each_has_one(jobs, expected):
    assert use_available_cores(jobs) == expected
    assert torch.get_num_threads() == expected


def test_a_person_who_says_how_many_knows_why(monkeypatch):
    torch.set_num_threads(3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert use_available_cores(2) == 3


@pytest.mark.parametrize("wish", ["", "0", "many"])
def test_a_wish_for_no_threads_is_none(monkeypatch, wish):
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert use_available_cores(2) == 4
