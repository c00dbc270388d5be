"""What memory each process that runs tests took at most, told at the end of the run.

What the networks of a file of tests took goes back to the system after it: the C library keeps
freed blocks, and over hundreds of trainings the gaps between them add up to gigabytes. What stays,
such as modules and thousands of collected tests, is not looked at for garbage again: it took a
seventh of the time of some rooms.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

GIB = 2**30
# What one process may take, so that one per core fits beside other work.
LIMIT = 4 * GIB
# So much more than after the last time is worth the search for what can be given back.
GROWN = GIB // 4


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far, in bytes; 0 if nobody knows."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """Return the resident memory of this process now, in bytes; 0 where it is not told so."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Return freed memory to the system, where the C library can (glibc)."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


@dataclass
class Peak:
    """The most memory that a process took, and the test that it ran then."""

    bytes: int = 0
    test: str = "collection"


class WorkerMemory:
    """A plugin of pytest for one run: measures in workers, or here, and tells where people look."""

    def __init__(self) -> None:
        self.mine = Peak()
        self.workers: dict[str, Peak] = {}
        self.kept = 0

    def pytest_collection_finish(self) -> None:
        self.mine.bytes = peak_bytes()
        self.kept = resident_bytes()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Iterator[None]:
        done = yield
        now = peak_bytes()
        if now > self.mine.bytes:
            self.mine = Peak(now, item.nodeid)
        if nextitem is None or nextitem.path != item.path:
            gc.collect()
            gc.freeze()
            if resident_bytes() > self.kept + GROWN:
                give_back()
                self.kept = resident_bytes()
        return done

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["peak"] = astuple(self.mine)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        # A worker that was killed, for its memory perhaps, leaves nothing.
        if peak := getattr(node, "workeroutput", {}).get("peak"):
            self.workers[node.gateway.id] = Peak(*peak)

    def pytest_terminal_summary(self, terminalreporter) -> None:
        terminalreporter.section("peak memory")
        for name, peak in sorted((self.workers or {"this process": self.mine}).items()):
            line = f"{name}: {peak.bytes / GIB:.1f} GiB, in {peak.test}"
            over = peak.bytes > LIMIT
            terminalreporter.line(f"{line}: over {LIMIT / GIB:g} GiB" if over else line, red=over)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(WorkerMemory(), "worker-memory")
