"""As many threads as there are cores, and not one more."""

from __future__ import annotations

import os

import torch

from mritk.machine.cores import available_cores, stated_threads


def use_available_cores(jobs: int = 1, threads: int = 0) -> int:
    """Give torch its share of the cores when ``jobs`` processes train at once; return it.

    ``OMP_NUM_THREADS`` takes precedence. The number of threads changes results by rounding: to
    repeat a result, state the ``threads`` it was made with.
    """
    if not stated_threads(os.environ):
        torch.set_num_threads(threads or max(1, available_cores() // jobs))
    return torch.get_num_threads()
