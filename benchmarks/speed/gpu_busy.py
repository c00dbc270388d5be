"""The share of time in which a GPU computes anything, as nvidia-smi tells it."""

from __future__ import annotations

import statistics
import subprocess
from types import TracebackType

# The driver's own figures are of windows between a sixth of a second and a second.
EVERY_MS = 200


class GpuBusy:
    """Watches a GPU inside a ``with`` block.

    Attributes:
        share: Mean share, 0 to 1, after the block; None on a CPU and where nvidia-smi is missing.
    """

    def __init__(self, device: str) -> None:
        """Prepare to watch ``device``, such as ``cuda:0``; nothing is watched on a CPU."""
        kind, _, number = device.partition(":")
        self._command = [
            *("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"),
            *(f"--id={number or 0}", f"--loop-ms={EVERY_MS}"),
        ]
        self._on_gpu = kind == "cuda"
        self._process: subprocess.Popen[str] | None = None
        self.share: float | None = None

    def __enter__(self) -> GpuBusy:
        if self._on_gpu:
            try:
                self._process = subprocess.Popen(
                    self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            except FileNotFoundError:
                self._process = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        said, _ = self._process.communicate()
        shares = [float(line) / 100 for line in said.split("\n") if line.strip().isdigit()]
        self.share = statistics.fmean(shares) if shares else None
