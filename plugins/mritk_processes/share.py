"""What each of several processes on one machine may use: a share of the cores, one GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mritk import available_cores, stated_threads

THREADS = "OMP_NUM_THREADS"
GPUS = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that a process may use, as ``CUDA_VISIBLE_DEVICES`` takes them.

    They are numbers, or the UUIDs by which that variable names them now.
    """
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(GPUS, "").split(",") if name.strip()]
    return (named or [str(number) for number in range(count)])[:count]


def shares(count: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """Return the environment variables of ``count`` processes that share this machine.

    What a person has set of them stands. Modules are not imported from the working folder, where
    the data may lie (Python 3.11 and later).
    """
    given = {"PYTHONSAFEPATH": "1"}
    if not stated_threads(os.environ):
        given[THREADS] = str(max(1, available_cores() // count))
    return [
        {**given, **({GPUS: gpus[number % len(gpus)]} if gpus else {})} for number in range(count)
    ]


@contextmanager
def variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the block, for processes that are started there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
