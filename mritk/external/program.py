"""Run a program to its end: what it says goes into a log, and it is ended when it hangs.

The log is a file, to which later attempts add. A sign of life is a line in it, or a touch of the
file that the variable ``MRITK_HEARTBEAT`` names.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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
# Read of a log from its end, for its last lines.
TAIL_BYTES = 16_384


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
    asked = json.dumps({"command": launch.command, "cleanup": launch.cleanup})
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, log.open("rb") as lines:
        start = lines.seek(0, 2)
        began = time.monotonic()
        watcher = subprocess.Popen(
            [*isolated("mritk.external.watcher"), asked],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=variables,
            start_new_session=True,  # Ctrl-C is for mritk, which then ends it
        )
        try:
            why = _follow(watcher, _Lines(lines, on_line), heartbeat, patience)
        finally:
            _end(watcher)
    if why:
        raise ProgramFailed(f"{name} {why}{tail_of(log, start)}; its log: {log}")
    if watcher.returncode:
        seconds = time.monotonic() - began
        raise ProgramFailed(
            f"{name} ended with exit code {watcher.returncode} after {seconds:.0f} s"
            f"{tail_of(log, start)}; its log: {log}"
        )


class _Lines:
    """The lines of a growing file, handed on when they are whole."""

    def __init__(self, stream: BinaryIO, on_line: Callable[[str], None]) -> None:
        self._stream, self._on_line, self._rest = stream, on_line, b""

    def hand_on(self) -> bool:
        """Hand on what is new; tell whether there was anything."""
        found = self._stream.read()
        *whole, self._rest = (self._rest + found).split(b"\n")
        for line in whole:
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))
        return bool(found)


def _follow(
    watcher: subprocess.Popen[bytes], lines: _Lines, heartbeat: Path, patience: Patience
) -> str:
    """Hand on lines until the program ends, or is to be ended; return why it is."""
    began = alive = time.monotonic()
    touched = _touched(heartbeat)
    while watcher.poll() is None:
        now = time.monotonic()
        if lines.hand_on() or _touched(heartbeat) != touched:
            alive, touched = now, _touched(heartbeat)
        if patience.seconds and now - began > patience.seconds:
            return f"took longer than {_time(patience.seconds)} and was ended"
        if patience.silent_seconds and now - alive > patience.silent_seconds:
            return f"gave no sign of life for {_time(patience.silent_seconds)} and was ended"
        time.sleep(LOOK_S)
    lines.hand_on()
    return ""


def _end(watcher: subprocess.Popen[bytes]) -> None:
    """Let the watcher end all that is left, or do so for it."""
    assert watcher.stdin is not None
    with suppress(OSError):
        watcher.stdin.close()
    try:
        watcher.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        end_tree(watcher.pid)
        watcher.wait()


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:g} s"


def tail_of(log: Path, start: int = 0) -> str:
    """Return the last lines of a log behind ``start`` as a clause, ``: …``; empty without any."""
    with log.open("rb") as stream:
        stream.seek(max(start, log.stat().st_size - TAIL_BYTES))
        text = stream.read().decode("utf-8", "replace")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    joined = " | ".join(lines[-TAIL_LINES:])
    if len(joined) > TAIL_LENGTH:
        joined = f"…{joined[-TAIL_LENGTH:]}"
    return f": {joined}" if joined else ""


def lines_of(log: Path) -> Iterator[str]:
    """Yield the lines of the log of earlier attempts; none if there is no log."""
    with suppress(FileNotFoundError):
        yield from log.read_text(encoding="utf-8", errors="replace").splitlines()
