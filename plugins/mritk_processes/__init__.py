"""The executor ``processes``: several trials at once on this machine, each in its own process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mritk import Executor, hookimpl

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess


@hookimpl
def mritk_executors() -> Iterator[Executor]:
    """Yield the executor ``processes``."""
    yield Executor("processes", run, summary="processes on this machine; --jobs says how many")


def run(
    function: Callable[[Any], Any], jobs: Sequence[Any], at_once: int | None = None
) -> Iterator[Any]:
    """Call ``function`` with each job in a fresh process; see :class:`mritk.Executor`.

    A process for each job, so that one which dies takes no other with it, and nothing of a job
    (memory of the GPU, a changed setting) is left for the next.
    """
    from multiprocessing.connection import wait

    waiting = list(reversed(jobs))
    running: dict[Connection, SpawnProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (at_once or os.cpu_count() or 1):
                connection, process = _start(function, waiting.pop())
                running[connection] = process
            ready = wait(list(running))
            for connection in [c for c in running if c in ready]:
                with suppress(EOFError):  # it died; whoever asked sees that a result is missing
                    yield connection.recv()
                running.pop(connection).join()
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _start(function: Callable[[Any], Any], job: Any) -> tuple[Connection, SpawnProcess]:
    from multiprocessing import get_context

    # Not forked: CUDA and threads of this process do not survive that.
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, job, sender), daemon=True)
    process.start()
    sender.close()
    return receiver, process


def _work(function: Callable[[Any], Any], job: Any, sender: Connection) -> None:
    sender.send(function(job))
