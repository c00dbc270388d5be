"""The most memory of a stretch of work, not of what came before it."""

from __future__ import annotations

import mmap
import sys

import pytest
import torch

from mritk.machine.peak_memory import PeakMemory

MIB = 2**20


def take(mib):
    """Use some memory that goes back to the system, whatever the allocator would keep."""
    with mmap.mmap(-1, mib * MIB) as block:
        for page in range(0, mib * MIB, mmap.PAGESIZE):
            block[page] = 1


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_is_that_of_the_stretch_alone():
    PeakMemory("cpu")
    take(160)
    after_large = PeakMemory("cpu")
    idle = after_large.measured()["peak_host_memory_bytes"]
    take(80)
    busy = after_large.measured()["peak_host_memory_bytes"]
    assert 70 * MIB < busy - idle < 90 * MIB


def test_there_is_no_peak_of_a_gpu_without_one():
    assert [name for name in PeakMemory("cpu").measured() if "device" in name] == []


def test_where_a_stretch_cannot_be_measured_the_peak_of_the_process_says_so(monkeypatch, tmp_path):
    pytest.importorskip("resource")
    monkeypatch.setattr("mritk.machine.peak_memory.CLEAR", tmp_path / "absent" / "clear_refs")
    peaks = PeakMemory("cpu").measured()
    assert list(peaks) == ["peak_process_memory_bytes"]
    assert peaks["peak_process_memory_bytes"] > 10 * MIB


@pytest.mark.gpu
def test_a_gpu_is_measured_as_well():
    torch.ones(160 * MIB, dtype=torch.uint8, device="cuda:0")
    peak = PeakMemory("cuda:0")
    idle = peak.measured()["peak_device_memory_bytes"]
    torch.ones(80 * MIB, dtype=torch.uint8, device="cuda:0")
    assert peak.measured()["peak_device_memory_bytes"] - idle == 80 * MIB
