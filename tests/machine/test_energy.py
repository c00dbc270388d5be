"""Energy comes from the board's own counter, or from nowhere."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from mritk.machine import energy
from mritk.machine.energy import EnergyMeter


class NVMLError(Exception):
    """As pynvml raises it."""


class FakeBoard(ModuleType):
    """A pynvml with one GPU that has used 5,000,000 mJ, and 1,500 mJ more at each look."""

    def __init__(self, processes=(), failing=()):
        super().__init__("pynvml")
        self.NVMLError = NVMLError
        self.looks, self.open, self.asked = 0, 0, []
        self.processes, self.failing = list(processes), set(failing)

    def _call(self, name):
        if name in self.failing:
            raise NVMLError(name)

    def nvmlInit(self):
        self._call("nvmlInit")
        self.open += 1

    def nvmlShutdown(self):
        self._call("nvmlShutdown")
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid):
        self._call("nvmlDeviceGetHandleByUUID")
        self.asked.append(uuid)
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        assert handle == "handle"
        self._call("nvmlDeviceGetTotalEnergyConsumption")
        self.looks += 1
        return 5_000_000 + 1_500 * self.looks

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        self._call("nvmlDeviceGetComputeRunningProcesses")
        return [SimpleNamespace(pid=pid) for pid in self.processes]


@pytest.fixture
def fake(monkeypatch):
    """Put a fake board in the place of pynvml."""

    def make(**behaviour):
        board = FakeBoard(**behaviour)
        monkeypatch.setitem(sys.modules, "pynvml", board)
        monkeypatch.setattr(energy, "gpu_uuid", lambda device: f"GPU-of-{device}")
        return board

    return make


def test_the_energy_is_the_difference_of_the_counter_in_joules(fake):
    board = fake(processes=[os.getpid()])
    meter = EnergyMeter("cuda:1")
    assert meter.measured() == {"energy_joules": 1.5}
    assert board.asked == ["GPU-of-cuda:1"], "numbers differ between torch and the library"
    assert board.open == 0, "what was opened is closed"


def test_the_stretch_ends_once(fake):
    board = fake()
    meter = EnergyMeter("cuda:0")
    meter.stop()
    assert meter.measured() == meter.measured() == {"energy_joules": 1.5}
    assert board.looks == 2


def test_another_process_at_either_end_is_told(fake):
    board = fake(processes=[os.getpid(), 1])
    meter = EnergyMeter("cuda:0")
    board.processes = [os.getpid()]
    assert meter.measured() == {"energy_joules": 1.5, "energy_shared": 1.0}
    board = fake(processes=[])
    meter = EnergyMeter("cuda:0")
    board.processes = [os.getpid(), 1]
    assert meter.measured()["energy_shared"] == 1.0


@pytest.mark.parametrize("strangers, shared", [(0, False), (1, False), (2, True)])
def test_in_a_container_one_stranger_is_this_process_under_its_other_number(
    fake, strangers, shared
):
    fake(processes=[os.getpid() + 1 + i for i in range(strangers)])
    assert ("energy_shared" in EnergyMeter("cuda:0").measured()) == shared


@pytest.mark.parametrize(
    "failing",
    ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption"],
)
def test_a_library_that_fails_leaves_the_energy_out(fake, failing):
    board = fake(failing=[failing])
    assert EnergyMeter("cuda:0").measured() == {}
    assert board.open == 0


def test_a_library_that_cannot_list_processes_or_shut_down_still_tells_the_energy(fake):
    fake(failing=["nvmlDeviceGetComputeRunningProcesses", "nvmlShutdown"])
    assert EnergyMeter("cuda:0").measured() == {"energy_joules": 1.5}


def test_without_the_package_there_is_no_energy(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert EnergyMeter("cuda:0").measured() == {}


def test_a_counter_that_began_anew_tells_nothing(fake, monkeypatch):
    board = fake()
    meter = EnergyMeter("cuda:0")
    monkeypatch.setattr(board, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: 3)
    assert meter.measured() == {}


def test_a_cpu_is_not_asked(fake):
    board = fake()
    assert EnergyMeter("cpu").measured() == {}
    assert board.asked == []
