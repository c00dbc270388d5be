"""What each worker of a cluster is given: cores, GPUs, memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

logger = logging.getLogger("mritk")


@dataclass(frozen=True)
class Share:
    """What each worker is given.

    Attributes:
        workers: Number of workers.
        cores: Cores of each, and its number of threads.
        gpus: GPUs of each; a part of one if several workers share it.
        memory: Bytes that Ray keeps free for each; 0: it does not look at memory.
    """

    workers: int
    cores: int
    gpus: float
    memory: int = 0


def share_of(
    machines: Sequence[Mapping[str, float]],
    jobs: int,
    at_once: int | None = None,
    memory: int = 0,
) -> Share:
    """Return what each worker is given.

    Args:
        machines: What each machine has, by ``CPU``, ``GPU`` and ``memory`` in bytes.
        jobs: Number of jobs.
        at_once: Number of workers; None: one per GPU, or without any one per core, while memory
            lasts. A number that a person gives stands.
        memory: Bytes that a job may take; 0: unknown.
    """
    machines = [machine for machine in machines if machine.get("CPU", 0) >= 1]
    cores = [int(machine["CPU"]) for machine in machines]
    gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
    most = at_once or gpus or sum(cores)
    workers = max(1, min(most, jobs, sum(cores)))
    on_a_gpu = math.ceil(workers / gpus) if gpus else 0
    # A job that fits nowhere is tried alone, on the machine with the most memory.
    able = (machine for machine in machines if _places(machine, 1, on_a_gpu, 0))
    largest = max((machine.get("memory", 0) for machine in able), default=0)
    memory = 0 if at_once else int(min(memory, largest))

    def places(each: int) -> int:
        """Return how many workers of some cores there is room for; none spans machines."""
        return sum(_places(machine, each, on_a_gpu, memory) for machine in machines)

    workers = max(1, min(workers, places(1)))
    wanted = min(max(at_once or 0, workers), places(1))
    each = next((n for n in range(max(cores, default=1), 1, -1) if places(n) >= wanted > 0), 1)
    # Ray counts in parts of 10,000: what is rounded up would not be there for the last one.
    part = math.floor(1e4 / on_a_gpu) / 1e4 if on_a_gpu else 0
    return Share(workers, each, part, memory)


def tell_if_no_room(machines: Sequence[Mapping[str, float]], share: Share) -> None:
    """Say that no machine can hold a worker, which then waits for one to join the cluster."""
    if not any(_places(m, share.cores, math.ceil(share.gpus), share.memory) for m in machines):
        logger.warning(
            "no machine of the Ray cluster has room for a worker (cores: %d, GPUs: %g); waiting "
            "until one joins; Ctrl-C ends the run",
            share.cores,
            share.gpus,
        )


def _places(machine: Mapping[str, float], cores: int, on_a_gpu: int, memory: int) -> int:
    """Return how many workers a machine can hold."""
    found = machine.get("CPU", 0) // cores
    if on_a_gpu:
        found = min(found, int(machine.get("GPU", 0)) * on_a_gpu)
    if memory:
        found = min(found, machine.get("memory", 0) // memory)
    return int(found)
