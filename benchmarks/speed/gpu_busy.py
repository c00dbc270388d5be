"""The share of time in which a GPU computes anything, as nvidia-smi tells it."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# The driver's own figures are of windows between a sixth of a second and a second.
EVERY_MS = 200


@dataclass
class Busy:
    """What a GPU did inside a block.

    Attributes:
        share: Mean share, 0 to 1, after the block; None on a CPU and where nvidia-smi is missing.
    """

    share: float | None = None


@contextmanager
def gpu_busy(device: str) -> Iterator[Busy]:
    """Watch ``device``, such as ``cuda:0``, inside the block; nothing is watched on a CPU."""
    kind, _, number = device.partition(":")
    command = [
        *("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"),
        *(f"--id={number or 0}", f"--loop-ms={EVERY_MS}"),
    ]
    busy, process = Busy(), None
    if kind == "cuda":
        with suppress(FileNotFoundError):
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
    try:
        yield busy
    finally:
        if process is not None:
            process.terminate()
            said, _ = process.communicate()
            shares = [float(line) / 100 for line in said.split("\n") if line.strip().isdigit()]
            busy.share = statistics.fmean(shares) if shares else None
