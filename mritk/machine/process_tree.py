"""A process and all that it has started, ended at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def end_tree(process: int) -> None:
    """Kill a process and all that it has started, directly or not, but not this one."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process)], check=False)
        return
    _tell(process, signal.SIGSTOP)  # it starts nothing any more
    for one in [*descendants(process), process]:
        if one != os.getpid():
            _tell(one, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """Return all processes that a process has started, directly or not."""
    children: dict[int, list[int]] = {}
    for one, parent in _with_parents():
        children.setdefault(parent, []).append(one)
    found = [process]
    for one in found:  # grows meanwhile
        found += children.get(one, [])
    return found[1:]


def _tell(process: int, what: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's
        os.kill(process, what)


def _with_parents() -> Iterator[tuple[int, int]]:
    """Yield each process and its parent."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-A", "-o", "pid=,ppid="]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as table:
            lines = table.communicate()[0].splitlines()
        for line in lines:
            one, parent = map(int, line.split())
            if one != table.pid:
                yield one, parent
        return
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name before the last parenthesis may hold anything.
            yield int(path.parent.name), int(path.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            continue  # it has ended
