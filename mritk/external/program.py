"""Run a program to its end: what it says goes into a log, and it is ended when it hangs.

The log is a file, to which later attempts add, and of which no more than its beginning and end are
kept: see :mod:`mritk.external.bounded_log`. A sign of life is a line in it, or a touch of the
file that the variable ``MRITK_HEARTBEAT`` names.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mritk.errors import MritkError
from mritk.external.environment import Launch
from mritk.external.variables import own_variables
from mritk.machine.isolated import isolated
from mritk.machine.process_tree import end_tree

HEARTBEAT = "MRITK_HEARTBEAT"
LOOK_S = 0.05
# A watcher has to end a container meanwhile.
PATIENCE_S = 90.0
TAIL_LINES, TAIL_LENGTH = 4, 600
TAIL_BYTES = 16_384
# Bytes that are read at once, how many of them may wait to be handed on, and of the longest line.
CHUNK, WAITING, LONGEST = 1 << 16, 16, 1 << 16


class ProgramFailed(MritkError):
    """A program of another environment ended with an error, or had to be ended."""


def ignore_line(line: str) -> None:
    """Do nothing with a line."""


@dataclass(frozen=True)
class Patience:
    """How long a program may take.

    Attributes:
        seconds: In all; 0: any time.
        silent_seconds: Without a sign of life; 0: any time.
    """

    seconds: float = 0.0
    silent_seconds: float = 0.0


ANY_TIME = Patience()


def run_program(
    launch: Launch,
    name: str,
    folder: Path,
    log: Path,
    patience: Patience = ANY_TIME,
    on_line: Callable[[str], None] = ignore_line,
) -> None:
    """Run a program until it ends; it and all that it has started are gone then.

    Args:
        launch: What is started.
        name: What errors call it.
        folder: Its working folder.
        log: The file to which its output is added.
        patience: How long it may take.
        on_line: Is given each line of its output, soon after it was written. What it raises ends
            the program, and is raised here.

    Raises:
        ProgramFailed: It ended with an error, or took too long. The message has the last lines of
            its log.
    """
    heartbeat = folder / ".heartbeat"
    variables = {**own_variables(), **launch.variables, HEARTBEAT: str(heartbeat)}
    asked = {"command": launch.command, "cleanup": launch.cleanup, "log": str(log.absolute())}
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    watcher = subprocess.Popen(
        [*isolated("mritk.external.watcher"), json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=variables,
        start_new_session=True,  # Ctrl-C is for mritk, which then ends it
    )
    output, lines = _Output(watcher), Lines(on_line)
    try:
        why = _follow(output, lines, heartbeat, patience)
        if not why:
            lines.end()
    finally:
        _end(watcher, output)
    if not why and watcher.returncode:
        code, seconds = watcher.returncode, time.monotonic() - began
        code = code if code >= 0 else 128 - code
        why = f"ended with exit code {code} after {seconds:.0f} s"
    if why:
        raise ProgramFailed(f"{name} {why}{lines.tail}; its log: {log}")


class _Output:
    """What comes from a watcher, read as fast as it is taken."""

    def __init__(self, watcher: subprocess.Popen[bytes]) -> None:
        assert watcher.stdout is not None
        self._stream = watcher.stdout
        self._parts: queue.Queue[bytes] = queue.Queue(WAITING)
        self._has_ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._stream, suppress(OSError, ValueError):
            while content := os.read(self._stream.fileno(), CHUNK):
                self._parts.put(content)
        self._parts.put(b"")

    def part(self, seconds: float) -> bytes | None:
        """Return what is next; None: nothing came within seconds; empty: nothing will come."""
        if self._has_ended:
            return b""
        try:
            found = self._parts.get(timeout=seconds)
        except queue.Empty:
            return None
        self._has_ended = not found
        return found

    def drain(self, seconds: float) -> None:
        """Take what still comes, at most for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self.part(left):
            pass


class Lines:
    """Bytes as they come, handed on as whole lines.

    Of a line of more than 64 KiB, the end is handed on: who prints without end fills no memory.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        """Take who is given each line."""
        self._on_line, self._rest, self._last = on_line, b"", b""

    def take(self, content: bytes) -> None:
        """Hand on the lines that end within ``content``."""
        self._last = (self._last + content)[-TAIL_BYTES:]
        whole, end, rest = content.rpartition(b"\n")
        if not end:
            self._rest = (self._rest + content)[-LONGEST:]
            return
        text = (self._rest + whole).decode("utf-8", "replace")
        self._rest = rest
        for line in text.split("\n"):
            self._on_line(line.rstrip("\r"))

    def end(self) -> None:
        """Hand on what came behind the last end of a line."""
        if self._rest:
            self.take(b"\n")

    @property
    def tail(self) -> str:
        """The last lines as a clause, ``: …``; empty if nothing came."""
        text = self._last.decode("utf-8", "replace")
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        joined = " | ".join(lines[-TAIL_LINES:])
        if len(joined) > TAIL_LENGTH:
            joined = f"…{joined[-TAIL_LENGTH:]}"
        return f": {joined}" if joined else ""


def _follow(output: _Output, lines: Lines, heartbeat: Path, patience: Patience) -> str:
    """Hand on lines until the program ends, or is to be ended; return why it is."""
    began = alive = time.monotonic()
    touched = _touched(heartbeat)
    while (part := output.part(LOOK_S)) != b"":
        now = time.monotonic()
        if part:
            lines.take(part)
        if part or _touched(heartbeat) != touched:
            alive, touched = now, _touched(heartbeat)
        if patience.seconds and now - began > patience.seconds:
            return f"took longer than {_time(patience.seconds)} and was ended"
        if patience.silent_seconds and now - alive > patience.silent_seconds:
            return f"gave no sign of life for {_time(patience.silent_seconds)} and was ended"
    return ""


def _end(watcher: subprocess.Popen[bytes], output: _Output) -> None:
    """Let the watcher end all that is left, or do so for it."""
    assert watcher.stdin is not None
    with suppress(OSError):
        watcher.stdin.close()
    output.drain(PATIENCE_S)
    try:
        watcher.wait(LOOK_S * 20)
    except subprocess.TimeoutExpired:
        end_tree(watcher.pid)
        watcher.wait()


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _time(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:g} s"


def lines_of(log: Path) -> Iterator[str]:
    """Yield the lines of the log of earlier attempts; none if there is no log."""
    with suppress(FileNotFoundError):
        yield from log.read_text(encoding="utf-8", errors="replace").splitlines()
