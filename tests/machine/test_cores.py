"""As many cores as the process may use: its affinity, within a container's quota."""

from __future__ import annotations

import os

import pytest

from mritk.machine import cores
from mritk.machine.cores import available_cores, stated_threads, wait_without_spinning


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Make a machine: its affinity, and the files of its control group."""
    monkeypatch.setattr(cores, "CGROUP_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(cores, "CGROUP_V1", tmp_path / "cpu")

    def make(affinity, v2=None, v1=None):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
        if v2 is not None:
            (tmp_path / "cpu.max").write_text(v2)
        if v1 is not None:
            (tmp_path / "cpu").mkdir()
            for name, value in zip(("cpu.cfs_quota_us", "cpu.cfs_period_us"), v1, strict=True):
                (tmp_path / "cpu" / name).write_text(f"{value}\n")

    return make


def test_without_a_container_it_is_the_affinity(machine):
    """taskset and job schedulers set it; the number of cores of the machine says nothing."""
    machine(affinity=3)
    assert available_cores() == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("", 8),
        ("200000\n", 8),
        ("two 100000\n", 8),
    ],
)
def test_a_quota_of_control_groups_2(machine, text, expected):
    """Half a core is one; more than there are, or what nobody can read, is no limit."""
    machine(affinity=8, v2=text)
    assert available_cores() == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [(-1, 100000, 8), (400000, 100000, 4), (250000, 100000, 3), (10000, 100000, 1), ("?", 1, 8)],
)
def test_a_quota_of_control_groups_1(machine, quota, period, expected):
    machine(affinity=8, v1=(quota, period))
    assert available_cores() == expected


def test_an_affinity_below_the_quota_counts(machine):
    machine(affinity=2, v2="400000 100000\n")
    assert available_cores() == 2


@pytest.mark.parametrize(("count", "expected"), [(6, 6), (None, 1)])
def test_where_there_is_no_affinity_it_is_the_machines_count(machine, monkeypatch, count, expected):
    """macOS and Windows have none."""
    machine(affinity=1)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert available_cores() == expected


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_do_not_spin_unless_the_person_says_how_they_wait(given, spins):
    environ = dict(given)
    wait_without_spinning(environ)
    assert environ.get("GOMP_SPINCOUNT") == spins


@pytest.mark.parametrize(
    ("text", "threads"),
    [("3", 3), ("2,1", 2), (" 2 , 1", 2), ("0", 0), ("", 0), ("-1", 0), ("many", 0), ("²", 0)],
)
def test_a_list_of_threads_states_its_first_and_what_is_none_states_nothing(text, threads):
    assert stated_threads({"OMP_NUM_THREADS": text}) == threads
    assert stated_threads({}) == 0
