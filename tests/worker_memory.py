"""What memory each process that runs tests took at most, told at the end of the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass

import pytest

GIB = 2**30
# What one process may take, so that one per core fits beside other work.
LIMIT = 4 * GIB


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far, in bytes; 0 if nobody knows."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


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

    def pytest_collection_finish(self) -> None:
        self.mine.bytes = peak_bytes()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        done = yield
        now = peak_bytes()
        if now > self.mine.bytes:
            self.mine = Peak(now, item.nodeid)
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
