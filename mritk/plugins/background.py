"""Calls made on a thread of their own, so that what is slow or fails holds up nothing else.

For plugins that tell others about a run: a server that does not answer, or a disk that is full,
must neither slow a trial nor end it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Condition, Thread
from typing import Any

from mritk.errors import one_line

logger = logging.getLogger("mritk")


class Background:
    """Executes calls in order on a daemon thread.

    The first call that raises is reported as one warning; later calls are dropped. No method of
    this class raises because of a call.

    Args:
        name: Name of the caller, for warnings.
        remedy: Suggested remedy, at the end of a warning.
        capacity: Size of the queue; further calls are dropped, counted, and reported by
            :meth:`close`.
    """

    # How long close() waits, in seconds.
    PATIENCE = 5.0

    def __init__(self, name: str, remedy: str, *, capacity: int = 1000) -> None:
        self._name, self._remedy, self._capacity = name, remedy, capacity
        self._waiting: deque[tuple[Callable[[], Any], bool]] = deque()
        self._changed = Condition()
        self._busy = self._closing = self._off = False
        self._dropped = self._made = 0
        self._thread = Thread(target=self._work, name=f"background of {name}", daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., Any], *arguments: Any, must: bool = False) -> None:
        """Queue ``function(*arguments)`` and return immediately.

        Args:
            function: What to call.
            arguments: With what.
            must: Queue it even if the queue is full, and let :meth:`close` drop others first, such
                as what begins or ends a trial.
        """
        with self._changed:
            if self._off or self._closing:
                return
            if len(self._waiting) >= self._capacity and not must:
                self._dropped += 1
                return
            self._waiting.append((partial(function, *arguments), must))
            self._changed.notify()

    def close(self) -> None:
        """Wait for pending calls, for :attr:`PATIENCE` seconds at most.

        If calls take so long that the second half of them does not suffice for all, it is for those
        that must be made; others are dropped. Dropped and unfinished calls are reported as one
        warning. A hanging call remains on its thread, which does not prevent the process from
        exiting: it ends halfway. What must not is for ``mritk_run_start`` to make itself.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        made = self._made
        self._thread.join(self.PATIENCE / 2)
        with self._changed:
            made = self._made - made
            kept = deque(waiting for waiting in self._waiting if waiting[1])
            if kept and 0 < made < len(self._waiting):
                self._dropped += len(self._waiting) - len(kept)
                self._waiting = kept
        self._thread.join(self.PATIENCE / 2)
        with self._changed:
            failed, self._off = self._off, True
            lost = self._dropped + len(self._waiting) + self._busy
            self._waiting.clear()
        if lost and not failed:
            logger.warning(
                "%s was too slow: %d calls were dropped, so its log is incomplete; the trial "
                "files are complete; %s",
                self._name,
                lost,
                self._remedy,
            )

    def _work(self) -> None:
        while (call := self._next()) is not None:
            try:
                call()
                self._made += 1
            except (Exception, SystemExit) as error:
                self._switch_off(error)

    def _next(self) -> Callable[[], Any] | None:
        with self._changed:
            self._busy = False
            self._changed.wait_for(lambda: self._waiting or self._closing or self._off)
            if self._off or not self._waiting:
                return None
            self._busy = True
            return self._waiting.popleft()[0]

    def _switch_off(self, error: BaseException) -> None:
        with self._changed:
            told, self._off = self._off, True
            self._waiting.clear()
        if not told:
            reason = one_line(f"{type(error).__name__}: {error}")
            logger.warning(
                "%s is disabled for the rest of this run: %s; %s",
                self._name,
                reason,
                self._remedy,
            )
