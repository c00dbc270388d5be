"""A process and all that it has started, ended at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOOK_S = 0.1


def end_tree(process: int) -> None:
    """Kill a process and all that it has started, directly or not, but not this one."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process)], check=False)
        return
    _tell(process, signal.SIGSTOP)  # it starts nothing any more
    for one in [*descendants(process), process]:
        if one != os.getpid():
            _tell(one, signal.SIGKILL)


def end_and_clear(process: int, patience: float) -> None:
    """Kill a process, and then what it has started, directly or not, but not this one.

    Args:
        process: The process.
        patience: Seconds that the others have for what they do when it is gone, such as removing a
            container that no kill of theirs would end.
    """
    if os.name == "nt":
        end_tree(process)
        return
    _tell(process, signal.SIGSTOP)  # it starts nothing any more
    left = [one for one in descendants(process) if one != os.getpid()]
    _tell(process, signal.SIGKILL)
    until = time.monotonic() + patience
    while (left := [one for one in left if _lives(one)]) and time.monotonic() < until:
        time.sleep(LOOK_S)
    for one in left:
        end_tree(one)


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


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # it has ended, or is another user's
        return False
    return True


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
