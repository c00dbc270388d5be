"""The process between mritk and a program: it ends with either, and leaves none of the program's.

Its argument is JSON: ``command``, a list of words, and ``cleanup``, a list of commands to be run at
the end, such as one that removes a container. It ends with the exit code of the program. When its
standard input closes, because whoever started it wants that or is gone, all is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from mritk.machine.process_tree import descendants, end_tree

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
CANNOT_START, KILLED = 127, 137  # as shells have it
# A process that waits for a disk is not ended before it goes on.
PATIENCE_S, LOOK_S = 20.0, 0.01


def main(command: Sequence[str], cleanup: Sequence[Sequence[str]]) -> int:
    """Run a program until it ends, or standard input does; return its exit code."""
    _adopt_orphans()
    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror or error}", file=sys.stderr)
        return CANNOT_START
    threading.Thread(target=_until_alone, args=(cleanup,), daemon=True).start()
    code = program.wait()
    _clear(cleanup)
    return code if code >= 0 else 128 - code


def _adopt_orphans() -> None:
    """On Linux, become the parent of what the program's processes leave behind."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _until_alone(cleanup: Sequence[Sequence[str]]) -> None:
    while os.read(0, 1):
        pass
    _clear(cleanup)
    os._exit(KILLED)


def _clear(cleanup: Sequence[Sequence[str]]) -> None:
    """End all that was started, and what it may have started meanwhile."""
    until = time.monotonic() + PATIENCE_S
    while (found := descendants(os.getpid())) and time.monotonic() < until:
        for one in found:
            end_tree(one)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(LOOK_S)
    for command in cleanup:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, check=False, timeout=60)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    sys.exit(main(asked["command"], asked["cleanup"]))
