"""Jobs in processes of their own, several at once, each with its share of the machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mritk import LostJob, jobs_beside, stated_threads
from mritk_processes.share import shares, variables_set, visible_gpus

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.process import BaseProcess


# Seconds after which the run may look how its trials are doing.
LOOK_S = 1.0
# Seconds in which a worker that is told to end writes its last checkpoint.
END_S = 10.0


def run(
    function: Callable[[Any], Any], jobs: Sequence[Any], at_once: int | None = None
) -> Iterator[Any]:
    """Call ``function`` with each job in another process; see :class:`mritk.Executor`.

    Each process takes the next job when it is free, and keeps what it has imported and opened. One
    that dies takes no other with it; one that an error may have harmed is replaced. Each has its
    share of the cores and one of the GPUs; where it has that to itself, it does several jobs side
    by side. Without ``at_once`` there are as many as GPUs, or one: on a processor alone one
    training fills the machine.
    """
    from multiprocessing.connection import wait

    from mritk_processes.fork_server import worker_context

    if not jobs:
        return
    gpus = visible_gpus()
    waiting = list(jobs)
    free = shares(at_once or max(1, len(gpus)), gpus)
    workers, own_gpu = len(free), len(free) <= len(gpus)
    context = worker_context(free[0])
    running: dict[Connection, Worker] = {}

    def give(worker: Worker) -> None:
        nonlocal waiting
        taken = jobs_beside(waiting, workers) if own_gpu else waiting[:1]
        numbers = set(map(id, taken))
        waiting = [job for job in waiting if id(job) not in numbers]
        worker.give(function, taken)

    try:
        while waiting or running:
            while waiting and free:
                worker = Worker.start(context, free.pop())
                running[worker.connection] = worker
                give(worker)
            ready = wait(list(running), LOOK_S)
            if not ready:
                yield None
            for connection in ready:
                worker = running[connection]  # type: ignore[index]  # only these were asked for
                results = worker.results()
                if not worker.left:  # before anybody looks at the results: it need not wait
                    if waiting and not worker.leaving:
                        give(worker)
                    else:
                        del running[worker.connection]
                        worker.end()
                        free.append(worker.share)
                yield from results
    finally:
        for worker in running.values():
            worker.connection.close()  # or a worker waits until somebody takes its results
            worker.process.terminate()
        _end([worker.process for worker in running.values()])


@dataclass
class Worker:
    """A process that does one job after the other, or several side by side.

    Attributes:
        share: The environment variables that say what of the machine it may use.
        process: The process.
        connection: Where it gets jobs, and where its results arrive, or the end of the line if it
            dies.
        left: The jobs whose results have not arrived, by their positions.
        leaving: Whether it takes no other job.
    """

    share: dict[str, str]
    process: BaseProcess
    connection: Connection
    left: dict[int, Any] = field(default_factory=dict)
    leaving: bool = False

    @classmethod
    def start(cls, context: ForkServerContext | SpawnContext, share: dict[str, str]) -> Worker:
        """Start a process."""
        connection, its_end = context.Pipe()
        environment = {**os.environ, **share}
        process = context.Process(target=_work, args=(environment, its_end), daemon=True)
        with variables_set(share):
            process.start()
        its_end.close()
        return cls(share, process, connection)

    def give(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> None:
        """Let it do some jobs; those before are done."""
        import pickle

        self.left = dict(enumerate(jobs))
        with suppress(OSError):  # it has died; the end of the line tells so
            self.connection.send_bytes(pickle.dumps((function, jobs)))

    def results(self) -> list[Any]:
        """Return the next result, or what became of the process in place of all that are left."""
        try:
            number, result = self.connection.recv()
        except (EOFError, OSError):  # the latter, if it died as it told of one
            self.process.join()
            reason = _ended(self.process.exitcode or 0)
            lost = [LostJob(job, reason) for job in self.left.values()]
            self.left, self.leaving = {}, True
            return lost
        del self.left[number]
        self.leaving |= getattr(result, "leaving", False)
        return [result]

    def end(self) -> None:
        """Wait for its end, which comes when it gets no more jobs."""
        self.connection.close()
        _end([self.process])


def _end(processes: Sequence[BaseProcess]) -> None:
    """Wait for the end of processes that were told to; kill those that do not come to it."""
    until = time.monotonic() + END_S
    try:
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
    finally:  # at a second Ctrl-C too
        for process in processes:
            process.kill()  # if it has ended, nothing
            process.join()


def _work(environment: dict[str, str], connection: Connection) -> None:
    """Do the jobs that come by the connection, until it is closed."""
    import pickle
    from multiprocessing import current_process

    # The run ends it as one; but one may have no children, such as those that load data.
    current_process().daemon = False
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError):
        os.dup2(2, 1)  # what libraries print is for the person; stdout has the results of the run
    _live_in(environment)
    while True:
        try:
            given = connection.recv_bytes()
        except (EOFError, OSError):  # nobody gives any more
            return
        function, jobs = pickle.loads(given)
        results = function(jobs) if len(jobs) > 1 else [(0, function(jobs[0]))]
        for result in results:
            with suppress(OSError):  # nobody waits; others have their last checkpoint to write
                connection.send(result)


def _live_in(environment: dict[str, str]) -> None:
    """Take over the environment of the run; the process that this one is forked from is older."""
    os.environ.clear()
    os.environ.update(environment)
    threads = stated_threads(environment)
    if threads and "torch" in sys.modules:  # which has read the variable at its import
        import torch

        torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """End this process and its children when the one that started it is gone, however it ended.

    Programs in other environments have somebody who ends them, and removes their containers.
    """
    from multiprocessing import active_children, parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        for child in active_children():
            child.kill()
        os._exit(1)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # those for real time have none
        name = f"signal {-code}"
    return f"was killed by {name}"
