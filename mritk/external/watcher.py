"""The processes between mritk and a program: they end with either, and leave none of the program's.

The argument is JSON: ``command``, a list of words; ``cleanup``, a list of commands to be run at the
end, such as one that removes a container; and ``log``, a file. What the program writes is added to
the log, and to standard output. The exit code is that of the program. When standard input closes,
because whoever started this wants that or is gone, all is killed.

On Linux there are two of them, so that either can end the program if the other one is killed: the
first only waits for the second, which runs the program.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mritk.external.bounded_log import BoundedLog
from mritk.machine.process_tree import descendants, end_tree

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
CANNOT_START, KILLED = 127, 137  # as shells have it
# A process that waits for a disk is not ended before it goes on.
PATIENCE_S, LOOK_S = 20.0, 0.01
CHUNK = 1 << 16
LINUX = sys.platform == "linux"

# The thread that sees standard input close and the one that sees the program end both clear up.
_CLEARING, _CLEARED = threading.Lock(), threading.Event()


def main(command: Sequence[str], cleanup: Sequence[Sequence[str]], log: Path) -> int:
    """Run a program until it ends, or standard input does; return its exit code."""
    watched = [0, _guarded(cleanup)] if LINUX else [0]
    output = _Output(log)
    tell_kernel(PR_SET_CHILD_SUBREAPER, 1)
    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # The kernel means this thread, which lives to the end. No other one runs yet.
            preexec_fn=_end_with_this_process if LINUX else None,  # noqa: PLW1509
        )
    except OSError as error:
        output.take(f"{command[0]} cannot be started: {error.strerror or error}\n".encode())
        return CANNOT_START
    output.follow(program.stdout)  # type: ignore[arg-type]  # it is a pipe
    for stream in watched:
        threading.Thread(target=_until_alone, args=(stream, cleanup, output), daemon=True).start()
    code = program.wait()
    _clear(cleanup)
    output.finish()
    return _as_shells_do(code)


def _guarded(cleanup: Sequence[Sequence[str]]) -> int:
    """Go on in a second process; return a stream that closes when the first one is gone.

    The first one ends when the second does, and all that this leaves behind with it.
    """
    alive, held = os.pipe()
    second = os.fork()
    if not second:
        os.close(held)
        return alive
    os.close(alive)
    tell_kernel(PR_SET_CHILD_SUBREAPER, 1)
    code = os.waitstatus_to_exitcode(os.waitpid(second, 0)[1])
    if code < 0:
        _clear(cleanup)
    os._exit(_as_shells_do(code))


def tell_kernel(what: int, value: int) -> None:
    """On Linux, set a property of this process: to adopt orphans, or to end with its parent."""
    if LINUX:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _end_with_this_process() -> None:
    tell_kernel(PR_SET_PDEATHSIG, signal.SIGKILL)


def _as_shells_do(code: int) -> int:
    return code if code >= 0 else 128 - code


class _Output:
    """What a program writes: into the log, and on to whoever follows."""

    def __init__(self, log: Path) -> None:
        self._log, self._is_followed = BoundedLog(log), True
        self._thread: threading.Thread | None = None

    def follow(self, stream: BinaryIO) -> None:
        """Take all that comes, beside what else is done."""
        self._thread = threading.Thread(target=self._take_all, args=(stream,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for what is on its way."""
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def _take_all(self, stream: BinaryIO) -> None:
        while content := os.read(stream.fileno(), CHUNK):
            self.take(content)

    def take(self, content: bytes) -> None:
        """Add to the log, and hand on."""
        with suppress(OSError):  # a full disk is no reason to let the program wait
            self._log.add(content)
        try:
            while self._is_followed and content:
                content = content[os.write(1, content) :]
        except OSError:
            self._is_followed = False


def _until_alone(stream: int, cleanup: Sequence[Sequence[str]], output: _Output) -> None:
    while os.read(stream, 1):
        pass
    _clear(cleanup)
    output.finish()
    os._exit(KILLED)


def _clear(cleanup: Sequence[Sequence[str]]) -> None:
    """End all that was started, and what it may have started meanwhile; once, whoever asks."""
    with _CLEARING:
        if not _CLEARED.is_set():
            _clear_now(cleanup)
        _CLEARED.set()


def _clear_now(cleanup: Sequence[Sequence[str]]) -> None:
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
    sys.exit(main(asked["command"], asked["cleanup"], Path(asked["log"])))
