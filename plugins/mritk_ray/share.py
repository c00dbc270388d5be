"""What each worker of a cluster is given: cores, GPUs, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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
    cores = [int(machine.get("CPU", 0)) for machine in machines]
    gpus = sum(machine.get("GPU", 0) for machine in machines)
    most = at_once or int(gpus) or sum(cores)
    workers = max(1, min(most, jobs, sum(cores)))
    # A job that fits nowhere is tried alone, on the machine with the most memory.
    largest = max((machine.get("memory", 0) for machine in machines if _works(machine)), default=0)
    memory = 0 if at_once else int(min(memory, largest))
    if memory:
        places = (int(m.get("memory", 0) // memory) for m in machines if _works(m))
        workers = min(workers, sum(places))
    # No worker spans machines.
    each = min(sum(cores) // max(1, at_once or workers), max(cores, default=1))
    return Share(workers, max(1, each), min(1.0, gpus / workers), memory)


def _works(machine: Mapping[str, float]) -> bool:
    return machine.get("CPU", 0) >= 1
