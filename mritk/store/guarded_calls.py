"""Calls of a function that may never return, or crash, in a process of their own."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

# The paths of this process, before anything is imported: else a module in the current folder could
# stand for one of the standard library.
START = """\
import sys
function, *sys.path = sys.argv[1:]
from mritk.store.guarded_calls import serve
serve(function)
"""
# Much longer than the call may compute: the machine may be busy, or asleep.
WAITING_FOR_ONE_SECOND = 6


class Endless(Exception):
    """The call computed longer than it may."""


class Crashed(Exception):
    """The call took its process with it."""


class GuardedCalls:
    """A function that is called in one process, which is replaced after each accident.

    Attributes:
        function: The function, as ``module:name``. Arguments and results are pickled.
    """

    def __init__(self, function: str) -> None:
        self.function = function
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, *arguments: Any, seconds: float) -> Any:
        """Return what the function returns, or raise what it raises.

        Args:
            arguments: What the function is called with.
            seconds: How long it may compute, in seconds of the processor.

        Raises:
            Endless: It computed for ``seconds``.
            Crashed: Its process ended.
            OSError: The process does not start, or does not answer in six times that long.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # then there is no answer either
            pickle.dump((seconds, arguments), process.stdin)
            process.stdin.flush()
        succeeded, answer = self._answer(process, WAITING_FOR_ONE_SECOND * seconds)
        if succeeded:
            return answer
        raise answer

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process:  # closes the pipes
                pass

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", START, self.function, *sys.path]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._process = process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere)
        try:
            self._answer(process, 60)
        except Crashed as error:
            raise OSError("the reading process could not be started") from error
        return process

    def _answer(self, process: subprocess.Popen[bytes], patience: float) -> Any:
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer, answered = threading.Timer(patience, give_up), False
        timer.start()
        try:
            answer = pickle.load(process.stdout)
            answered = True
            return answer
        except (EOFError, pickle.UnpicklingError) as error:
            code = process.wait()
            if late.is_set():
                raise OSError(f"timed out after {patience:.0f} seconds") from error
            if hasattr(signal, "SIGPROF") and code == -signal.SIGPROF:
                raise Endless from error
            raise Crashed from error
        finally:
            timer.cancel()
            timer.join()
            if late.is_set() or not answered:  # or the next call would get the answer of this one
                self.close()


def serve(function: str) -> None:
    """Answer the calls that come in over the standard input, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks ends this process
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that nothing else can write there
    module, _, name = function.partition(":")
    call = getattr(import_module(module), name)
    answer: Any = "ready"
    with suppress(EOFError, BrokenPipeError):
        while True:
            pickle.dump(answer, answers)
            answers.flush()
            seconds, arguments = pickle.load(sys.stdin.buffer)
            _limit(seconds)
            try:
                answer = True, call(*arguments)
            except Exception as error:
                answer = False, error
            _limit(0)


def _limit(seconds: float) -> None:
    """Let the system end this process once it has computed that long; where it can, it does."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
