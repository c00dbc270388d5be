"""How many of the jobs that are left a worker does side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def jobs_beside(waiting: Sequence[Any], workers: int) -> list[Any]:
    """Return the jobs that a worker with a GPU to itself takes next, the first of those waiting.

    A single worker takes all. One of several takes half its part of the time that is left, so that
    all end together whatever each job takes (factoring: Hummel et al., Communications of the ACM
    35, 1992), and at least one job; neighbours share data and networks. Jobs that must be alone
    stay behind, unless the first is one.

    Args:
        waiting: Jobs; ``expected`` is the seconds that each may take, 0 if nothing is known.
        workers: Number of workers that share what is left.
    """
    first = waiting[0]
    if _alone(first):
        return [first]
    told = [getattr(job, "expected", 0.0) for job in waiting]
    known = [seconds for seconds in told if seconds > 0]
    typical = sum(known) / len(known) if known else 1.0
    seconds = [one or typical for one in told]
    part = sum(seconds) / (2 * workers if workers > 1 else 1)
    taken, spent = [first], seconds[0]
    for job, more in zip(waiting[1:], seconds[1:], strict=True):
        if spent + more > part * (1 + 1e-9):
            break
        if not _alone(job):
            taken.append(job)
            spent += more
    return taken


def _alone(job: Any) -> bool:
    return bool(getattr(job, "alone", False))
