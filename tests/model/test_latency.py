"""Latency: one image at a time, measured without a trace in the network or the random numbers."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from mritk.model.flops import count_flops
from mritk.model.latency import ENOUGH_SECONDS, PASSES, WARM_UP, measure_latency
from mritk.store.folder import ResultsFolder
from mritk.train.cost import network_cost


class Watched(nn.Module):
    """Notes the shape and mode of each pass, and waits."""

    def __init__(self, seconds=0.0):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.drop = nn.Dropout(0.5)
        self.seconds, self.passes = seconds, []

    def forward(self, batch):
        time.sleep(self.seconds)
        self.passes.append((tuple(batch.shape), self.training))
        return self.drop(batch * self.scale)


def convolutions():
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


@pytest.mark.slow
def test_a_larger_image_takes_longer():
    """256 px have 64 times the operations of 32 px; overhead hides part of that."""
    network = convolutions()
    small, large = (measure_latency(network, (3, side, side)) for side in (32, 256))
    assert count_flops(network, (3, 256, 256)) == 64 * count_flops(network, (3, 32, 32))
    assert large > 3 * small > 0


def test_what_is_told_is_the_time_of_one_pass():
    network = Watched(seconds=0.01)
    assert measure_latency(network, (3, 4, 4)) >= 0.01, "a sleep is never shorter"
    assert {shape for shape, _ in network.passes} == {(1, 3, 4, 4)}, "one image at a time"
    assert {training for _, training in network.passes} == {False}


def test_a_stumble_does_not_change_the_median(monkeypatch):
    """A clock on which each pass takes 2 ms, and every fifth pass ten times that."""
    network = Watched()
    clock = iter([0.0, *(0.002 * n + 0.02 * (n // 5) for n in range(1, 100))])
    monkeypatch.setattr("mritk.model.latency.time.perf_counter", lambda: next(clock))
    assert measure_latency(network, (3, 4, 4)) == pytest.approx(0.002)


def test_a_fast_network_is_measured_by_a_fixed_number_of_passes(monkeypatch):
    network = Watched()
    monkeypatch.setattr("mritk.model.latency.time.perf_counter", lambda: 0.0)
    measure_latency(network, (3, 4, 4))
    assert len(network.passes) == WARM_UP + PASSES


def test_a_slow_network_is_passed_once_to_warm_up_and_once_to_measure(monkeypatch):
    """The clock jumps by more than the limit with each look at it."""
    network = Watched()
    clock = (number * (ENOUGH_SECONDS + 1) for number in range(100))
    monkeypatch.setattr("mritk.model.latency.time.perf_counter", lambda: next(clock))
    assert measure_latency(network, (3, 4, 4)) == ENOUGH_SECONDS + 1
    assert len(network.passes) == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_is_measured_in_the_precision_of_the_trial(precision):
    network, seen = nn.Conv2d(3, 2, 1), []
    network.register_forward_hook(lambda module, given, outputs: seen.append(outputs.dtype))
    measure_latency(network, (3, 4, 4), precision=precision)
    assert set(seen) == {getattr(torch, precision)}


class Refusing(Watched):
    def forward(self, batch):
        raise RuntimeError("no")


def test_what_cannot_be_measured_is_absent_and_harms_nothing():
    network = Refusing()
    assert measure_latency(network, (3, 8, 8)) is None
    assert network.training
    assert "latency_seconds" not in network_cost(network, (3, 8, 8))


@pytest.mark.slow
def test_it_is_part_of_the_cost_of_a_trial(run_toy, tmp_path, mritk):
    assert run_toy("--seeds", 1).code == 0
    (record,) = ResultsFolder(tmp_path / "results").trials()
    assert record.cost["latency_seconds"] > 0
    table = mritk("leaderboard", tmp_path / "results", "--columns", "latency,parameters").out
    assert "latency (ms)" in table


@pytest.mark.gpu
def test_on_a_gpu_the_work_is_waited_for():
    """Kernels are queued in microseconds; a product of 8192² takes longer by far."""
    network = nn.Linear(8192, 8192).cuda()
    queued = nn.Linear(8, 8).cuda()
    assert measure_latency(network, (8192, 8192)) > 5 * measure_latency(queued, (8, 8))
