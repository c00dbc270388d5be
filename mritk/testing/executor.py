"""What every executor promises."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from mritk.records import Executor, LostJob
from mritk.testing.check import Defect, NotApplicable, UnderTest, is_sent_to_workers, promises

JOBS = (1, 2, 3, 4, 5)


def square(job: int) -> tuple[int, int]:
    """Return a job and its square, as a worker would."""
    return job, job * job


def square_or_die(job: tuple[int, int]) -> tuple[int, int]:
    """The same, but the job 3 ends its process, unless that is the one of this number."""
    number, this_process = job
    if number == 3 and os.getpid() != this_process:
        os._exit(1)
    return number, number * number


def _results(told: Iterable[Any]) -> list[Any]:
    """Return what an executor yields, without the moments at which nothing was ready."""
    return [done for done in told if done is not None]


class ExecutorUnderTest(UnderTest[Executor]):
    """An executor, and what it makes of five small jobs."""

    @cached_property
    def found(self) -> list[tuple[int, int]]:
        """What comes out for the five jobs, two at once."""
        return _results(self.record.run(square, JOBS, 2))


def every_job_is_done_once(it: ExecutorUnderTest) -> None:
    """Each job's result is yielded, and none twice."""
    if sorted(it.found) != [(job, job * job) for job in JOBS]:
        raise Defect(f"of the jobs {JOBS}, the results {sorted(it.found)} were returned")


def any_number_at_once_will_do(it: ExecutorUnderTest) -> None:
    """One at once, more than there are jobs, and no number at all."""
    for at_once in (1, 8, None):
        found = sorted(_results(it.record.run(square, JOBS[:2], at_once)))
        if found != [(1, 1), (2, 4)]:
            raise Defect(f"with at_once = {at_once or 'None'}, {found} were returned")


def nothing_to_do_is_no_error(it: ExecutorUnderTest) -> None:
    """Without jobs, nothing is yielded."""
    if _results(it.record.run(square, (), 2)):
        raise Defect("it yields a result without jobs")


def a_worker_that_dies_takes_no_other_with_it(it: ExecutorUnderTest) -> None:
    """The results of all other jobs come, and no exception."""
    jobs = [(number, os.getpid()) for number in JOBS]
    told = _results(it.record.run(square_or_die, jobs, 2))
    lost = [done for done in told if isinstance(done, LostJob) and not done.retried]
    found = sorted(done for done in told if not isinstance(done, LostJob))
    if (3, 9) in found:
        raise NotApplicable("its workers run in this process")
    if found != [(1, 1), (2, 4), (4, 16), (5, 25)]:
        raise Defect(f"the worker of the third of five jobs died, and {found} were returned")
    if [job.job for job in lost] not in ([], [jobs[2]]):
        raise Defect(f"the worker of job {jobs[2]} died, and {lost} were returned")


def closing_it_ends_what_runs(it: ExecutorUnderTest) -> None:
    """A run that is interrupted leaves no process and no thread behind."""
    import multiprocessing

    threads, processes = threading.active_count(), len(multiprocessing.active_children())
    running = it.record.run(square, JOBS, 2)
    next(iter(running))
    if hasattr(running, "close"):
        running.close()
    if len(multiprocessing.active_children()) > processes:
        raise Defect(
            "a process is still running after the iterator was closed; terminate it in a finally "
            "block"
        )
    if threading.active_count() > threads:
        raise Defect(
            "a thread is still running after the iterator was closed; terminate it in a finally "
            "block"
        )


CHECKS = (*promises(__name__), is_sent_to_workers)


def check_executor(executor: Executor) -> None:
    """Check an executor, as ``registry.executor(name)`` returns it.

    Raises:
        Nonconforming: It breaks a promise of :data:`CHECKS`; all that were found are listed.
    """
    ExecutorUnderTest(executor).require(CHECKS)
