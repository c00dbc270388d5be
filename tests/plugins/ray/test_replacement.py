"""A worker that is gone is replaced if something is left to do."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from mritk_ray.pool import ATTEMPTS, _Pool, _Seat
from mritk_ray.share import Share
from mritk_ray.watch import Watch
from tests.plugins.ray.test_ray import ERRORS


def lost(left, waiting=(), deaths=None, others=0, workers=2):
    """How many workers are started when one dies at jobs, what waits then, what is given up."""
    ray = SimpleNamespace(exceptions=SimpleNamespace(**dict.fromkeys(ERRORS, ValueError)))
    pool = _Pool(ray, len, Share(workers, 1, 0), {}, Watch())
    pool._seats = {number: _Seat(None) for number in range(others)}
    pool._deaths = Counter({id(job): count for job, count in (deaths or {}).items()})
    started, waiting = [], list(waiting)
    pool._start = started.append
    told = list(pool._lost(_Seat(None, left=left), ValueError("it"), waiting))
    assert [one.job for one in told] == list(left.values())
    return sum(started), waiting, [one.job for one in told if not one.retried]


def test_a_job_is_done_again_by_another_worker():
    assert lost({0: "a"}) == (1, ["a"], [])
    assert lost({0: "a"}, waiting=["b"], others=1) == (1, ["b", "a"], [])


def test_nothing_is_started_when_the_last_job_is_given_up():
    last = {"a": ATTEMPTS - 1}
    assert lost({0: "a"}, deaths=last) == (0, [], ["a"])
    assert lost({0: "a"}, waiting=["b"], deaths=last) == (1, ["b"], ["a"])


def test_several_jobs_get_as_many_workers_as_there_is_room_for():
    assert lost({0: "a", 1: "b", 2: "c"}, workers=4, others=2) == (2, ["a", "b", "c"], [])
    assert lost({1: "b", 2: "c"}, workers=4) == (2, ["b", "c"], [])


def test_a_worker_that_does_not_start_is_replaced_while_something_waits():
    assert lost({}, waiting=["a", "b"], others=1) == (1, ["a", "b"], [])
    assert lost({}) == (0, [], [])
