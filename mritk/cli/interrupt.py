"""Ctrl-C as one ``KeyboardInterrupt`` that nobody drops."""

from __future__ import annotations

import signal
import sys
import time
from threading import Timer, main_thread
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# The files of the import system, as frames name them.
IMPORT_SYSTEM = "<frozen importlib."


class Interrupt:
    """A handler of SIGINT that waits for the end of an import.

    Libraries drop every exception that is raised while they import something optional, and Python
    itself those in the callbacks of its import locks: an interrupt there would be lost. Where a
    compiled module drops one, it is raised again.
    """

    # An import that hangs is interrupted after so many seconds, or by a second Ctrl-C.
    PATIENCE = 1.0

    def __init__(self) -> None:
        self._timer: Timer | None = None
        self._own = False  # the next signal is the timer's
        self._deadline = 0.0
        self._raised = False
        self._tell_unraisable = sys.unraisablehook

    @classmethod
    def install(cls) -> None:
        """Handle SIGINT, unless it is ignored, as it is for what a shell runs in the background."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            handler = cls()
            signal.signal(signal.SIGINT, handler.handle)
            sys.unraisablehook = handler.handle_dropped

    @classmethod
    def _installed(cls) -> Interrupt | None:
        own = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
        return own if isinstance(own, cls) else None

    @classmethod
    def uninstall(cls) -> None:
        """From here on Ctrl-C ends the process at once, without a traceback."""
        if handler := cls._installed():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            sys.unraisablehook = handler._tell_unraisable

    @classmethod
    def was_raised(cls) -> bool:
        """Tell whether Ctrl-C has been raised in this process.

        Compiled modules make errors of their own of what is raised in their callbacks.
        """
        handler = cls._installed()
        return handler is not None and handler._raised

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, now or when the import is done."""
        own, self._own = self._own, False
        if self._timer is None:
            self._deadline = time.monotonic() + self.PATIENCE
        second = self._timer is not None and not own
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        patient = not second and time.monotonic() < self._deadline
        if not _holds_import_lock(frame) and not (patient and _is_importing(frame)):
            self._raised = True
            raise KeyboardInterrupt
        self._wait(number)

    def handle_dropped(self, told: UnraisableHookArgs) -> None:
        """Raise a KeyboardInterrupt again that was raised where nobody can raise anything."""
        if not issubclass(told.exc_type, KeyboardInterrupt):
            self._tell_unraisable(told)
        elif self._timer is None:
            self._wait(signal.SIGINT)

    def _wait(self, number: int) -> None:
        self._timer = Timer(0.02, self._again, (number,))
        self._timer.daemon = True
        self._timer.start()

    def _again(self, number: int) -> None:
        self._own = True
        main = main_thread().ident
        if main is not None and hasattr(signal, "pthread_kill"):
            signal.pthread_kill(main, number)  # wakes the thread from what it waits for
        else:
            signal.raise_signal(number)


def _holds_import_lock(frame: FrameType | None) -> bool:
    """Tell whether the import system may hold the lock of all imports just now.

    It takes the lock a moment before it begins to care for exceptions: one that
    comes between leaves the lock taken, and every other thread waits for it for ever. Where it
    waits for another thread (``_ModuleLock.acquire``) it holds nothing.
    """
    code = frame.f_code if frame is not None else None
    return bool(code and code.co_filename.startswith(IMPORT_SYSTEM) and code.co_name != "acquire")


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORT_SYSTEM):
            return True
        frame = frame.f_back
    return False
