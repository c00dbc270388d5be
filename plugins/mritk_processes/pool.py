"""Jobs in processes of their own, several at once, each with its share of the machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mritk import LostJob, jobs_beside
from mritk_processes.share import THREADS, shares, variables_set, visible_gpus

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.process import BaseProcess


# Seconds after which the run may look how its trials are doing.
LOOK_S = 1.0


def run(
    function: Callable[[Any], Any], jobs: Sequence[Any], at_once: int | None = None
) -> Iterator[Any]:
    """Call ``function`` with each job in a fresh process; see :class:`mritk.Executor`.

    A process for each job, so that one which dies takes no other with it, and nothing of a job
    (memory of the GPU, a changed setting) is left for the next. Each has its share of the cores
    and one of the GPUs; where it has that to itself, it does several jobs side by side. Without
    ``at_once`` there are as many as GPUs, or one: on a processor alone one training fills the
    machine.
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
    try:
        while waiting or running:
            while waiting and free:
                taken = jobs_beside(waiting, workers) if own_gpu else waiting[:1]
                numbers = set(map(id, taken))
                waiting = [job for job in waiting if id(job) not in numbers]
                worker = Worker.start(context, function, taken, free.pop())
                running[worker.connection] = worker
            ready = wait(list(running), LOOK_S)
            if not ready:
                yield None
            for connection in ready:
                worker = running[connection]  # type: ignore[index]  # only these were asked for
                yield from worker.results()
                if not worker.left:
                    del running[worker.connection]
                    free.append(worker.share)
    finally:
        for worker in running.values():
            worker.connection.close()  # or a worker waits until somebody takes its results
            worker.process.terminate()
        for worker in running.values():
            worker.process.join()


@dataclass(frozen=True)
class Worker:
    """A process that does one job, or several side by side.

    Attributes:
        left: The jobs whose results have not arrived, by their positions.
        share: The environment variables that say what of the machine it may use.
        process: The process.
        connection: Where its results arrive, or the end of the line if it dies.
    """

    left: dict[int, Any]
    share: dict[str, str]
    process: BaseProcess
    connection: Connection

    @classmethod
    def start(
        cls,
        context: ForkServerContext | SpawnContext,
        function: Callable[[Any], Any],
        jobs: Sequence[Any],
        share: dict[str, str],
    ) -> Worker:
        """Start a process for some jobs."""
        import pickle

        receiver, sender = context.Pipe(duplex=False)
        # As bytes, since to unpickle the function may be to import torch, which takes seconds in
        # which the process would not notice the end of its parent.
        work = pickle.dumps((function, jobs))
        environment = {**os.environ, **share}
        process = context.Process(target=_work, args=(work, environment, sender), daemon=True)
        with variables_set(share):
            process.start()
        sender.close()
        return cls(dict(enumerate(jobs)), share, process, receiver)

    def results(self) -> Iterator[Any]:
        """Yield the next result, or what became of the process in place of all that are left."""
        try:
            number, result = self.connection.recv()
        except (EOFError, OSError):  # the latter, if it died as it told of one
            self.process.join()
            for job in self.left.values():
                yield LostJob(job, _ended(self.process.exitcode or 0))
            self.left.clear()
            return
        del self.left[number]
        if not self.left:
            self.process.join()
        yield result


def _work(work: bytes, environment: dict[str, str], sender: Connection) -> None:
    import pickle

    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError):
        os.dup2(2, 1)  # what libraries print is for the person; stdout has the results of the run
    _live_in(environment)
    function, jobs = pickle.loads(work)
    results = function(jobs) if len(jobs) > 1 else [(0, function(jobs[0]))]
    for result in results:
        with suppress(OSError):  # nobody waits; the others have their last checkpoint to write
            sender.send(result)


def _live_in(environment: dict[str, str]) -> None:
    """Take over the environment of the run; the process that this one is forked from is older."""
    os.environ.clear()
    os.environ.update(environment)
    threads = environment.get(THREADS, "").partition(",")[0]
    if threads.isdigit() and "torch" in sys.modules:  # which has read the variable at its import
        import torch

        torch.set_num_threads(int(threads))


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however it ended."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
