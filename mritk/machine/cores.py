"""How many processor cores this process may use, and how its threads wait for each other."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def available_cores() -> int:
    """Return the number of available cores, at least 1: affinity, limited by the container quota.

    More threads than cores are slower: two processes of two threads on two cores
    train at 0.54 to 0.62 times the speed of one (docs/performance.md).
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    quota = _quota()
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def stated_threads(environ: Mapping[str, str]) -> int:
    """Return the threads that ``OMP_NUM_THREADS`` states; 0 if it states none.

    Of a list, the first number counts: the others are for loops within loops.
    """
    first = environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


# As long as it takes to wake a thread, and what libgomp itself takes where there are more threads
# than cores; its default is 300 times that.
SPINS = "1000"


def wait_without_spinning(environ: MutableMapping[str, str]) -> None:
    """Let threads of libgomp that wait for each other sleep soon; call it before torch is imported.

    By default they spin for milliseconds. On a machine that other programs use too, a thread spins
    through its time slice while the one that it waits for has no core.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", SPINS)


def _quota() -> float | None:
    """Return the processor time that a container may use, in cores; None without a limit."""
    try:
        limit, period = CGROUP_V2.read_text(encoding="ascii").split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = (CGROUP_V1 / "cpu.cfs_quota_us").read_text(encoding="ascii")
        period = (CGROUP_V1 / "cpu.cfs_period_us").read_text(encoding="ascii")
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError):
        return None
