"""What a trial cost: seconds, memory, energy, and the size of the network that it trained."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from torch import nn

from mritk.errors import one_line
from mritk.machine import lanes
from mritk.machine.energy import EnergyMeter
from mritk.machine.peak_memory import PeakMemory
from mritk.model.flops import count_flops
from mritk.model.latency import measure_latency, measure_replayed_latency

logger = logging.getLogger("mritk")


class CostMeter:
    """Measures a trial from its creation on.

    Attributes:
        seconds: Duration of each phase.
    """

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, float] = {}
        self._on_gpu = device.startswith("cuda")
        self._peak, self._energy = PeakMemory(device), EnergyMeter(device)
        self._predicted: dict[str, float] = {}
        self._lap = time.perf_counter()

    def lap(self, phase: str) -> None:
        """End the phase that began with the previous call."""
        now = time.perf_counter()
        self.seconds[phase], self._lap = now - self._lap, now

    def predicted(self, images: int, seconds: float) -> None:
        """Note how long the test part took, from samples to scores."""
        self._predicted = {"predict_seconds": seconds, "predict_images": float(images)}
        if images and seconds > 0:
            self._predicted["predict_images_per_second"] = images / seconds

    def measured(self) -> dict[str, float]:
        """End the measurement and return what is known.

        Returns:
            ``seconds_fit`` and ``seconds_predict``; ``gpu_seconds``, their sum, on a GPU;
            ``predict_seconds``, ``predict_images`` and ``predict_images_per_second`` of the test
            part; peaks of memory in bytes (:class:`PeakMemory`); ``energy_joules`` and
            ``energy_shared`` (:class:`EnergyMeter`). Beside other trainings of this process also
            ``trials_at_once``, the most that there were; then ``gpu_seconds`` and
            ``energy_joules`` are this one's share, and peaks of memory, which are those of the
            process, are left out.
        """
        self._energy.stop()
        found = {f"seconds_{phase}": seconds for phase, seconds in self.seconds.items()}
        whole = sum(found.values())
        if self._on_gpu and found:
            found["gpu_seconds"] = lanes.share_of(whole)
        if lanes.at_once() == 1:
            return found | self._predicted | self._peak.measured() | self._energy.measured()
        found["trials_at_once"] = float(lanes.at_once())
        energy = self._energy.measured()
        if energy and whole:
            part = lanes.share_of(whole) / whole
            found |= {"energy_joules": part * energy["energy_joules"], "energy_shared": 1.0}
        return found | self._predicted


def network_cost(
    network: nn.Module, input_shape: Sequence[int], *, precision: str = "float32"
) -> dict[str, float]:
    """Return ``parameters``, and of one input what is known: ``flops`` and latencies in seconds.

    See :func:`count_flops`; :func:`measure_latency` and :func:`measure_replayed_latency` take the
    precision.
    """
    cost = {"parameters": float(sum(p.numel() for p in network.parameters()))}
    told = {
        "flops": count_flops(network, input_shape),
        "latency_seconds": measure_latency(network, input_shape, precision=precision),
        "replayed_latency_seconds": measure_replayed_latency(
            network, input_shape, precision=precision
        ),
    }
    return cost | {name: value for name, value in told.items() if value is not None}


def model_cost(fitted: Any) -> dict[str, float]:
    """Return what a trained model tells of its size: its ``model_cost``, or that of its network.

    Nothing that goes wrong here harms the trial: what cannot be told is absent.
    """
    try:
        told = getattr(fitted, "model_cost", None)
        if told is None and hasattr(fitted, "network") and hasattr(fitted, "input_shape"):
            told = network_cost(fitted.network, fitted.input_shape)
        return {str(k): float(v) for k, v in (told or {}).items() if math.isfinite(v)}
    except Exception as error:
        logger.info("the size of the model is unknown: %s", one_line(error))
        return {}
