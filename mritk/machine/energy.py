"""The energy that a GPU took over a stretch of work, as its own counter tells.

NVIDIA's management library counts the energy of a whole board, idle draw included, since its
driver was loaded (``nvmlDeviceGetTotalEnergyConsumption``, Volta and later). Python reaches it
through the optional package ``nvidia-ml-py``, which is imported as ``pynvml``.
"""

from __future__ import annotations

import logging
import os
from typing import Any

logger = logging.getLogger("mritk")

MILLI = 1e-3


class EnergyMeter:
    """Measures from its creation until :meth:`stop`. Where energy cannot be told, it says nothing.

    The counter is that of the board: other programs that compute on it are in it too. They are
    looked for at both ends of the stretch, so that one which came and went between goes unseen.
    """

    def __init__(self, device: str) -> None:
        """Begin to measure the ``device``, if it is a CUDA GPU."""
        self._joules: float | None = None
        self._shared = False
        self._board = _Board.of(device)
        self._start = self._board.millijoules() if self._board else None
        self._look()

    def stop(self) -> None:
        """End the stretch; only the first call counts."""
        if self._board is None:
            return
        self._look()
        end = self._board.millijoules()
        if self._start is not None and end is not None and end >= self._start:
            self._joules = (end - self._start) * MILLI
        self._board.close()
        self._board = None

    def measured(self) -> dict[str, float]:
        """Return ``energy_joules``, and ``energy_shared``: 1.0 if others computed there too."""
        self.stop()
        if self._joules is None:
            return {}
        return {"energy_joules": self._joules} | ({"energy_shared": 1.0} if self._shared else {})

    def _look(self) -> None:
        if self._board is not None:
            self._shared |= self._board.has_others()


class _Board:
    """One GPU as the management library sees it."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    @classmethod
    def of(cls, device: str) -> _Board | None:
        if not device.startswith("cuda"):
            return None
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception as error:  # not installed, or no driver
            logger.info("energy is not measured: %s", error)
            return None
        try:
            # Numbers differ between the library and torch (CUDA_VISIBLE_DEVICES); names do not.
            return cls(pynvml, pynvml.nvmlDeviceGetHandleByUUID(gpu_uuid(device)))
        except Exception as error:
            logger.info("energy is not measured: %s", error)
            cls(pynvml, None).close()
            return None

    def millijoules(self) -> int | None:
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except Exception as error:
            logger.info("energy is not measured: %s", error)
            return None

    def has_others(self) -> bool:
        """Whether another process computes here.

        A container may hide this process behind a number of the host's; one stranger is then this.
        """
        try:
            found = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except Exception:
            return False
        numbers = {process.pid for process in found}
        own = os.getpid()
        return len(numbers - {own}) > (0 if own in numbers else 1)

    def close(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except Exception as error:
            logger.info("the GPU management library (NVML) was not closed: %s", error)


def gpu_uuid(device: str) -> str:
    """Return the name of a CUDA device that is the same for torch and the management library."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
