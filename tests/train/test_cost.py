"""The cost of a trial: seconds, of a GPU where there is one, and energy where it is measured."""

from __future__ import annotations

from mritk.train import cost as cost_module
from mritk.train.cost import CostMeter


def test_on_a_gpu_the_seconds_are_gpu_seconds_and_the_energy_is_told(monkeypatch):
    class Meter:
        def __init__(self, device):
            self.device = device

        def stop(self):
            pass

        def measured(self):
            return {"energy_joules": 12.0} if self.device == "cuda:0" else {}

    monkeypatch.setattr(cost_module, "EnergyMeter", Meter)
    monkeypatch.setattr(cost_module, "PeakMemory", lambda device: Meter("memory"))
    meter = CostMeter("cuda:0")
    meter.lap("fit")
    meter.lap("predict")
    found = meter.measured()
    assert found["gpu_seconds"] == found["seconds_fit"] + found["seconds_predict"]
    assert found["energy_joules"] == 12.0
