"""Standard output and error as the commands see them: writing to them ends no command.

A reader that has gone (``mritk audit … | head``), a full disk or a terminal that lacks a character
must neither stop a training nor change what an audit found.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from mritk.errors import ExitCode
from mritk.text.printable import ERRORS, encoding


class _Lenient(io.RawIOBase):
    """Passes bytes on until that fails; then keeps the error, and drops what comes."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        if self.failure is None:
            try:
                written: int | None = self._raw.write(data)
                return written
            except OSError as error:
                self.failure = error
        return len(data)

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        return bool(self._raw.isatty())


class Streams:
    """Stands between the program and what it writes to.

    Characters that the encoding of a stream lacks are written in plain ASCII or as ``\\u4e2d``.
    """

    def __init__(self) -> None:
        # Where the caller closed them they are opened even so: not all code asks, and a file that
        # is opened later must not become what a library prints to. Kept, or they would close.
        self._given = (sys.stdout or _nowhere(), sys.stderr or _nowhere())
        output, errors = self._given
        self._output = _Lenient(_apart(output))
        sys.stdout = _text(self._output, output)
        encoding.set(sys.stdout.encoding)
        sys.stderr = _text(_Lenient(_raw(errors)), errors)

    def finish(self, code: int, tell: Callable[[str], None]) -> int:
        """Write what is left, and return the exit code.

        It is ``code``, unless that is 0 and the output is lost: a pipe whose reader has gone is
        no loss, because nobody wants the rest.
        """
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        failure = self._output.failure
        if failure is None or isinstance(failure, BrokenPipeError):
            return code
        tell(f"the output could not be written: {failure.strerror}; redirect it elsewhere")
        return code or ExitCode.INTERNAL


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _raw(stream: TextIO) -> Any:
    stream.flush()
    return getattr(stream.buffer, "raw", stream.buffer)  # with python -u there is one layer less


def _apart(stream: TextIO) -> Any:
    """Return what writes there by a descriptor of its own: others print by that of stdout."""
    raw = _raw(stream)
    try:
        # Open until the process ends, which closes it.
        own = os.name == "posix"
        return io.FileIO(os.dup(raw.fileno()), "w", closefd=False) if own else raw
    except OSError:
        return raw


def _text(raw: _Lenient, like: TextIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding,
        errors=ERRORS,
        line_buffering=bool(like.line_buffering),
        write_through=bool(getattr(like, "write_through", False)),
    )
