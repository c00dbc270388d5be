"""All that the commands print goes through here, so that no name reaches the terminal raw."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

import click

from mritk.text.visible import visible

STDOUT, STDERR = 1, 2

# Where results go while all else that is printed goes to stderr.
_kept: list[TextIO] = []


@contextmanager
def results_alone() -> Iterator[None]:
    """Print on stdout nothing but results: what plugins and libraries print goes to stderr."""
    _kept.append(output())
    try:
        with redirect_stdout(sys.stderr), _descriptor_of_stderr():
            yield
    finally:
        _kept.pop()


@contextmanager
def _descriptor_of_stderr() -> Iterator[None]:
    """Let processes and libraries in C print there, too, if results have another descriptor."""
    try:
        before = None if output().fileno() == STDOUT else os.dup(STDOUT)
    except (OSError, ValueError, AttributeError):  # it is closed, or results go to no file
        before = None
    if before is None:
        yield
        return
    try:
        _write_out()
        with suppress(OSError):  # stderr is closed
            os.dup2(STDERR, STDOUT)
        yield
    finally:
        _write_out()
        os.dup2(before, STDOUT)
        os.close(before)


def _write_out() -> None:
    """Write what Python and C still hold of what was printed, while the descriptor is that of then.

    Whatever prints in C is called through ctypes, or beside numpy, which imports it.
    """
    with suppress(OSError, ValueError):  # it is closed
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    if os.name == "posix" and (ctypes := sys.modules.get("ctypes")):
        ctypes.CDLL(None).fflush(None)


def output() -> TextIO:
    """Return the stream on which results are printed."""
    return _kept[-1] if _kept else sys.stdout


def echo(text: object, *, end: str = "\n") -> None:
    """Print a result, for a person or the next program, on stdout."""
    click.echo(visible(str(text)) + end, file=output(), nl=False)


def echo_data(text: str, *, end: str = "\n") -> None:
    """Print CSV or TOML: names keep their characters, as escapes where the output lacks them."""
    encoding = getattr(output(), "encoding", None) or "utf-8"
    echo(text.encode(encoding, "backslashreplace").decode(encoding), end=end)


def echo_json(data: object, default: Callable[[Any], str] | None = None) -> None:
    """Print a result for the next program on stdout."""
    import json

    echo(json.dumps(data, indent=2, default=default))


def say(line: object) -> None:
    """Print a line for the person on stderr, beside what other programs read."""
    click.echo(visible(str(line)), err=True)


def warn(line: object) -> None:
    """Print a warning on stderr."""
    click.secho(f"warning: {visible(str(line))}", err=True, fg="yellow")


def is_agreed(question: str) -> bool | None:
    """Ask the person, or the pipe that answers for them; None: nobody answers."""
    if sys.stdin is None:  # closed
        return None
    try:
        return click.confirm(visible(question), err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        say("")  # the question has no end of line
        return None


def log_to_stderr() -> None:
    """Print the warnings of mritk's log as lines on stderr."""
    import logging

    class VisibleFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return visible(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(VisibleFormatter())
    logging.getLogger("mritk").addHandler(handler)
