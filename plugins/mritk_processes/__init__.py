"""The executor ``processes``: several trials at once on this machine, each in its own process."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mritk import Executor, hookimpl
from mritk_processes.share import shares, variables_set, visible_gpus

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

logger = logging.getLogger("mritk")


@hookimpl
def mritk_executors() -> Iterator[Executor]:
    """Yield the executor ``processes``."""
    yield Executor("processes", run, summary="processes on this machine; --jobs says how many")


def run(
    function: Callable[[Any], Any], jobs: Sequence[Any], at_once: int | None = None
) -> Iterator[Any]:
    """Call ``function`` with each job in a fresh process; see :class:`mritk.Executor`.

    A process for each job, so that one which dies takes no other with it, and nothing of a job
    (memory of the GPU, a changed setting) is left for the next. Each has its share of the cores
    and one of the GPUs. Without ``at_once`` there are as many as GPUs, or one: on a processor alone
    one training fills the machine.
    """
    from multiprocessing.connection import wait

    gpus = visible_gpus()
    waiting = list(reversed(jobs))
    free = shares(at_once or max(1, len(gpus)), gpus)
    running: dict[Connection, tuple[SpawnProcess, dict[str, str]]] = {}
    try:
        while waiting or running:
            while waiting and free:
                share = free.pop()
                with variables_set(share):
                    connection, process = _start(function, waiting.pop())
                running[connection] = process, share
            ready = wait(list(running))
            for connection in [c for c in running if c in ready]:
                with suppress(EOFError):  # it died; whoever asked sees that a result is missing
                    yield connection.recv()
                process, share = running.pop(connection)
                free.append(share)
                process.join()
                _tell_end(process)
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
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
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sender.send(function(job))


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however it ended."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _tell_end(process: SpawnProcess) -> None:
    """Say how a worker ended that did not end well."""
    code = process.exitcode or 0
    if code < 0:
        logger.warning("a worker was killed by %s", signal.Signals(-code).name)
    elif code > 0:
        logger.warning("a worker ended with exit code %d", code)
