"""The energy that a GPU took over a stretch of work, as its own counter tells.

NVIDIA's management library counts the energy of a whole board, idle draw included, since its
driver was loaded (``nvmlDeviceGetTotalEnergyConsumption``, Volta and later). Python reaches it
through the optional package ``nvidia-ml-py``, which is imported as ``pynvml``.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress

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
        self._nvml = self._board = None
        self._shared = False
        if device.startswith("cuda"):
            try:
                import pynvml

                pynvml.nvmlInit()
                self._nvml = pynvml
                # Numbers differ between the library and torch (CUDA_VISIBLE_DEVICES); names do not.
                self._board = pynvml.nvmlDeviceGetHandleByUUID(gpu_uuid(device))
            except Exception as error:  # not installed, or no driver
                logger.info("energy is not measured: %s", error)
        self._start = self._look()

    def stop(self) -> None:
        """End the stretch; only the first call counts."""
        if self._nvml is None:
            return
        end = self._look()
        if self._start is not None and end is not None and end >= self._start:
            self._joules = (end - self._start) * MILLI
        try:
            self._nvml.nvmlShutdown()
        except Exception as error:
            logger.info("the GPU management library (NVML) was not closed: %s", error)
        self._nvml = self._board = None

    def measured(self) -> dict[str, float]:
        """Return ``energy_joules``, and ``energy_shared``: 1.0 if others computed there too."""
        self.stop()
        if self._joules is None:
            return {}
        return {"energy_joules": self._joules} | ({"energy_shared": 1.0} if self._shared else {})

    def _look(self) -> int | None:
        """Look for other processes on the board; return its counter, in millijoules.

        A container may hide this process behind a number of the host's; one stranger is then this.
        """
        if self._nvml is None or self._board is None:
            return None
        with suppress(Exception):
            found = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._board)
            numbers, own = {process.pid for process in found}, os.getpid()
            self._shared |= len(numbers - {own}) > (0 if own in numbers else 1)
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._board))
        except Exception as error:
            logger.info("energy is not measured: %s", error)
            return None


def gpu_uuid(device: str) -> str:
    """Return the name of a CUDA device that is the same for torch and the management library."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
