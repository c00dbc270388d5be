"""Jobs on the workers of a Ray cluster: one after the other, and side by side on a GPU.

Ray places the workers, watches over them and gives each its GPUs. A worker imports what training
needs once. All that is known of a job lies in the results folder, which all machines share, so a
job whose worker died goes on from its checkpoint on another one. Where they share no folder, Ray
brings the working folder to each machine once.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from mritk import LostJob, Unavailable, jobs_beside, stated_threads
from mritk_ray.connection import connected, first_line
from mritk_ray.share import Share, share_of, tell_if_no_room
from mritk_ray.upload import working_folder
from mritk_ray.watch import Watch, watch_of

# Attempts at a job whose worker dies, as it does on a machine that is taken away.
ATTEMPTS = 3
# Seconds after which the run may look how its trials are doing.
LOOK_S = 1.0

# Variables of the run that its workers take over.
PASSED_ON = ("MRITK_", "HF_")
THREADS, SCRATCH = "OMP_NUM_THREADS", "MRITK_SCRATCH"
# Those that name a folder of the run.
FOLDERS = ("MRITK_HOME", SCRATCH)


def run(
    function: Callable[[Any], Any],
    jobs: Sequence[Any],
    at_once: int | None = None,
    *,
    address: str = "local",
    upload: bool = False,
) -> Iterator[Any]:
    """Call ``function`` with each job on a worker of Ray; see :class:`mritk.Executor`.

    Args:
        function: Called with each job.
        jobs: The jobs.
        at_once: Number of workers; None: one per GPU of the cluster, or without any one per core,
            as far as memory allows.
        address: ``local``: Ray is started on this machine, and ended with the run; else as
            ``ray.init`` takes it, such as ``auto``.
        upload: Whether workers start in a copy of the working folder; they see no other folder of
            the run.

    Raises:
        Unavailable: Ray is not installed, no cluster is at the address or it is gone later, or the
            working folder is too large to be uploaded.
    """
    if not jobs:
        return
    memory = max(getattr(job, "memory", 0) for job in jobs)
    brought = working_folder(getattr(jobs[0], "results", None)) if upload else None
    with connected(address, brought) as ray:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        share = share_of(machines, len(jobs), at_once, memory)
        tell_if_no_room(machines, share)
        environment = _environment(share.cores, without=FOLDERS if upload else ())
        pool = _Pool(ray, function, share, environment, watch_of(ray))
        yield from pool.results(jobs)


@dataclass
class _Seat:
    """A worker.

    Attributes:
        worker: Ray's handle of it.
        group: What its last job had in common with others.
        left: The jobs it is doing, by their positions; while it starts there are none.
        leaving: Whether it was told to end.
    """

    worker: Any
    group: str = ""
    left: dict[int, Any] = field(default_factory=dict)
    leaving: bool = False


class _Pool:
    """Workers that take the next job when they are free."""

    def __init__(
        self,
        ray: ModuleType,
        function: Callable[[Any], Any],
        share: Share,
        environment: Mapping[str, str],
        watch: Watch,
    ) -> None:
        self._ray, self._function, self._share = ray, function, share
        self._environment, self._watch = environment, watch
        self._seats: dict[Any, _Seat] = {}  # by what tells of their next result
        self._deaths = Counter[int]()  # workers that died at a job
        self._unstarted = 0  # workers in a row that died before they began
        failures = ray.exceptions
        self._dying = (
            failures.RayActorError,
            failures.OutOfMemoryError,
            failures.NodeDiedError,
            failures.WorkerCrashedError,
            failures.RayTaskError,  # what harms all jobs that a worker does side by side
        )

    def results(self, jobs: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each job, or a ``LostJob``, and None while none is ready.

        Of a job that is tried again comes a ``LostJob`` for each worker that dies at it.
        """
        waiting = list(jobs)
        self._start(self._share.workers)
        try:
            while waiting or any(seat.left for seat in self._seats.values()):
                ready, _ = self._ray.wait(list(self._seats), timeout=LOOK_S)
                if not ready:
                    self._watch.look()
                    yield None
                for place in ready:
                    seat = self._seats[place]
                    try:
                        told = self._told(place)
                    except self._dying as error:
                        del self._seats[place]
                        self._ray.kill(seat.worker)  # if it lives, its GPU may be of no use
                        yield from self._lost(seat, error, waiting)
                        continue
                    self._unstarted = 0
                    if told is not None:
                        number, result = told
                        del seat.left[number]
                        seat.leaving |= getattr(result, "leaving", False)
                        yield result
                        continue
                    del self._seats[place]
                    if seat.leaving:
                        self._ray.kill(seat.worker)
                        self._start(min(1, len(waiting)))
                    elif waiting:
                        self._give(seat, self._next(seat, waiting))
        finally:
            for seat in self._seats.values():
                self._ray.kill(seat.worker)

    def _told(self, place: Any) -> tuple[int, Any] | None:
        """Return what a worker tells of a job; None when it has started, or done all its jobs."""
        self._watch.look()
        if isinstance(place, self._ray.ObjectRef):
            self._ray.get(place)
            return None
        try:
            told: tuple[int, Any] = self._ray.get(next(place))
        except StopIteration:
            return None
        return told

    def _lost(self, seat: _Seat, error: Exception, waiting: list[Any]) -> Iterator[LostJob]:
        """Replace a worker that died; one of its jobs may be why, so each is tried again alone.

        At the end of a run workers have left that had nothing more to do: they are replaced, too,
        as far as there is something to do again.
        """
        if not seat.left:
            self._tell_unstarted(error)
        for job in seat.left.values():
            self._deaths[id(job)] += 1
        waiting += [job for job in seat.left.values() if self._deaths[id(job)] < ATTEMPTS]
        missing = self._share.workers - len(self._seats)
        self._start(min(missing, len(waiting), max(1, len(seat.left))))
        reason = f"died ({first_line(error)})"
        for job in seat.left.values():
            deaths = self._deaths[id(job)]
            yield LostJob(job, reason, attempts=deaths, retried=deaths < ATTEMPTS)

    def _tell_unstarted(self, error: Exception) -> None:
        """Raise if no worker starts any more; one may have been on a machine that was lost."""
        self._unstarted += 1
        if self._unstarted >= ATTEMPTS:
            text = f"a worker of Ray does not start: {first_line(error)}"
            raise Unavailable(text) from error

    def _next(self, seat: _Seat, waiting: list[Any]) -> list[Any]:
        """Take from ``waiting`` the jobs for a worker.

        It has opened the data of its last one, and keeps to them; else it takes what no other
        worker does. With a GPU to itself, it takes several; see :func:`mritk.jobs_beside`.
        """
        others = {other.group for other in self._seats.values()}
        groups = [getattr(job, "group", "") for job in waiting]
        number = next((number for number, group in enumerate(groups) if group not in others), 0)
        if seat.group in groups:
            number = groups.index(seat.group)
        first, seat.group = waiting.pop(number), groups[number]
        if self._share.gpus < 1 or self._alone(first):
            return [first]
        alike = sorted(waiting, key=lambda job: getattr(job, "group", "") != seat.group)
        together = [first, *[job for job in alike if not self._alone(job)]]
        taken = jobs_beside(together, self._share.workers)
        numbers = set(map(id, taken))
        waiting[:] = [job for job in waiting if id(job) not in numbers]
        return taken

    def _alone(self, job: Any) -> bool:
        return getattr(job, "alone", False) or self._deaths[id(job)] > 0

    def _start(self, count: int) -> None:
        self._watch.wait()
        share, ray = self._share, self._ray
        kind = ray.remote(Worker).options(
            num_cpus=share.cores,
            num_gpus=share.gpus,
            memory=share.memory or None,
            max_restarts=0,
            max_task_retries=0,
        )
        imports_here = str(Path.cwd()) in sys.path
        for _ in range(count):
            worker = kind.remote(self._environment, imports_here)
            self._seats[worker.ready.remote()] = _Seat(worker)

    def _give(self, seat: _Seat, jobs: Sequence[Any]) -> None:
        work = self._ray.cloudpickle.dumps((self._function, jobs))
        seat.left = dict(enumerate(jobs))
        self._seats[seat.worker.call.options(num_returns="streaming").remote(work)] = seat


class Worker:
    """A process of Ray that does jobs.

    Args:
        environment: Variables of the run, of which Ray passes on none.
        imports_here: Whether modules may be imported from the working folder, where Ray looks for
            them, but where data may lie.
    """

    def __init__(self, environment: Mapping[str, str], imports_here: bool) -> None:
        own = os.environ.get(SCRATCH)  # a disk of this machine
        os.environ.update(environment)
        if own:
            os.environ[SCRATCH] = own
        if not imports_here:
            here = ("", str(Path.cwd()))
            sys.path[:] = [place for place in sys.path if place not in here]

    def ready(self) -> None:
        """Return when the worker has been placed and started."""

    def call(self, work: bytes) -> Iterator[tuple[int, Any]]:
        """Do jobs; yield the position of each, and its result."""
        function, jobs = pickle.loads(work)
        if len(jobs) == 1:
            yield 0, function(jobs[0])
        else:
            yield from function(jobs)


def _environment(cores: int, without: Sequence[str] = ()) -> dict[str, str]:
    """Return what workers take over of this environment; Ray names the GPUs of each."""
    given = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED_ON) and name not in without
    }
    return {THREADS: os.environ[THREADS] if stated_threads(os.environ) else str(cores), **given}
