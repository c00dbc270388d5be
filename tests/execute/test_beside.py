"""A worker with a GPU to itself takes several of the jobs that are left."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import pytest

from mritk import jobs_beside


@dataclass(frozen=True, eq=False)
class Job:
    """What is asked of a job."""

    name: str
    expected: float = 0.0
    alone: bool = False


def parts(jobs, workers):
    """What workers take, one after the other, until nothing is left."""
    while jobs:
        taken = jobs_beside(jobs, workers)
        jobs = [job for job in jobs if job not in taken]
        yield taken


def names(text, workers):
    """Parts of jobs of which nothing is known; those called x must be alone."""
    jobs = [Job(name, alone=name == "x") for name in text]
    return ["".join(job.name for job in part) for part in parts(jobs, workers)]


def test_a_single_worker_takes_all_and_several_take_half_their_part_each():
    assert names("1234", 1) == ["1234"]
    assert names("123456789", 2) == ["12", "3", "4", "5", "6", "7", "8", "9"]
    assert [len(part) for part in names("a" * 16, 2)] == [4, 3, 2, 1, 1, 1, 1, 1, 1, 1]
    assert names("1234", 8) == ["1", "2", "3", "4"]


def test_what_must_be_alone_is_alone():
    assert names("1x34", 1) == ["134", "x"]
    assert names("x234", 1) == ["x", "234"]


def test_parts_are_of_seconds_and_what_is_unknown_counts_as_the_mean():
    jobs = [Job("long", 60.0), Job("short", 10.0), Job("unknown"), Job("other", 20.0)]
    assert [[job.name for job in part] for part in parts(jobs, 1)] == [
        ["long", "short", "unknown", "other"]
    ]
    found = [[job.name for job in part] for part in parts(jobs, 2)]
    assert found == [["long"], ["short"], ["unknown"], ["other"]]
    many = [Job("long", 30.0), *[Job(str(n), 1.0) for n in range(30)]]
    first, second, *_ = parts(many, 2)
    assert [job.name for job in first] == ["long"]
    assert [job.name for job in second] == [str(n) for n in range(7)]


@pytest.mark.parametrize("workers", [2, 8])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.lognormal(0, 1, 120),
        lambda rng: np.where(rng.random(120) < 0.1, 30.0, 1.0),
        lambda rng: np.repeat(rng.lognormal(0, 1, 12), 10),
    ],
    ids=["lognormal", "a tenth takes long", "networks with ten seeds each"],
)
def test_all_workers_end_at_about_the_same_time(workers, draw):
    """Jobs come in their order, the longest first."""
    rng, ratios = np.random.default_rng(0), []
    for _ in range(20):
        seconds = np.sort(draw(rng))[::-1]
        free = [0.0] * workers
        for part in parts([Job(str(n), float(s)) for n, s in enumerate(seconds)], workers):
            heapq.heappush(free, heapq.heappop(free) + sum(job.expected for job in part))
        ratios.append(max(free) / max(seconds.sum() / workers, seconds.max()))
    assert np.mean(ratios) < 1.1
