"""The executor ``processes``: several trials at once on this machine, each in its own process."""

from __future__ import annotations

from collections.abc import Iterator

from mritk import Executor, hookimpl, lazy


@hookimpl
def mritk_executors() -> Iterator[Executor]:
    """Yield the executor ``processes``."""
    yield Executor(
        "processes",
        lazy("mritk_processes.pool:run"),
        summary="parallel processes on this machine; number set by --jobs",
    )
