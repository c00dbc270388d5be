"""The most memory that a stretch of work took."""

from __future__ import annotations

import sys
from pathlib import Path

from mritk.machine.host_memory import KIB, numbers_in

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

# Written to clear_refs, it sets the high-water mark to what is resident now (proc(5)).
RESET_HIGH_WATER_MARK = "5"


class PeakMemory:
    """Measures from its creation on.

    There is one high-water mark per process and per GPU: a second measurement that begins before
    the first is read takes the mark from it.
    """

    def __init__(self, device: str) -> None:
        """Begin to measure the host and, if it is a GPU, the ``device``."""
        self._device = device
        self._host_is_own = _reset_high_water_mark()
        if device.startswith("cuda"):
            import torch

            torch.cuda.init()  # torch refuses to reset what no work has begun to count
            torch.cuda.reset_peak_memory_stats(device)

    def measured(self) -> dict[str, float]:
        """Return the peaks in bytes so far.

        Returns:
            ``peak_host_memory_bytes``: resident memory of the process, libraries and mapped files
            included, at its highest since the beginning. Where the system cannot measure a
            stretch, ``peak_process_memory_bytes`` instead: the highest since the process began.
            ``peak_device_memory_bytes``: what tensors took on the GPU at their most.
        """
        peaks = {}
        if self._host_is_own and (mark := numbers_in(STATUS).get("VmHWM:")) is not None:
            peaks["peak_host_memory_bytes"] = float(KIB * mark)
        elif (peak := _peak_of_process()) is not None:
            peaks["peak_process_memory_bytes"] = float(peak)
        if self._device.startswith("cuda"):
            import torch

            peaks["peak_device_memory_bytes"] = float(torch.cuda.max_memory_allocated(self._device))
        return peaks


def _reset_high_water_mark() -> bool:
    try:
        CLEAR.write_text(RESET_HIGH_WATER_MARK, encoding="ascii")
    except OSError:  # another system, or a container that hides it
        return False
    return True


def _peak_of_process() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else KIB * peak  # bytes there, KiB elsewhere
