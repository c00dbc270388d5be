"""Lines for a file, a pipe or a log of continuous integration."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING

from mritk_progress.rows import duration
from mritk_progress.time_left import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from mritk import Epoch

MINUTE = 60.0


class ProgressLog:
    """A line when a trial ends, one a minute while trials are trained, and one after two epochs.

    The first epoch may be of a stage that trains the head alone, and says little of the others. The
    line of the minute comes from a thread of its own, because an epoch may last for hours.

    Args:
        kinds: The kind of each trial of the run; those of one kind take about equally long.
        interval: Seconds between lines.
    """

    def __init__(self, kinds: Sequence[Hashable], interval: float = MINUTE) -> None:
        self._total, self._interval = len(kinds), interval
        self._time = TimeLeft(kinds, time.monotonic)
        self._running: set[Hashable] = set()
        self._now = "no trial finished yet"
        self._finished = 0
        self._foretold = False
        self._changing = RLock()  # trials change while the thread looks at them
        self._closed = Event()
        self._thread = Thread(target=self._tell_each_minute, name="progress", daemon=True)
        self._thread.start()

    def start_trial(self, trial: Hashable, kind: Hashable, text: str) -> None:
        """Keep a trial that begins for the next line."""
        with self._changing:
            self._running.add(trial)
            self._now = text
            self._time.start(trial, kind)

    def end_epoch(self, trial: Hashable, epoch: Epoch, text: str) -> None:
        """Keep an epoch for the next line; after the second one, the time left can be told."""
        with self._changing:
            self._now = text
            live = self._time.epoch(trial, epoch)
            if live and not self._foretold and epoch.epoch >= min(2, epoch.epochs):
                self._foretold = True
                self._tell_now()

    def finish_trial(self, trial: Hashable, row: str) -> None:
        """Leave the row of a trial, and the time left."""
        with self._changing:
            self._finished, self._foretold = self._finished + 1, True
            self._running.discard(trial)
            self._time.finish(trial)
            self._now = f"{self._finished} of {self._total} trials finished"
            _tell(f"{row}{self._left()}")

    def close(self) -> None:
        """Stop telling."""
        self._closed.set()
        self._thread.join()

    def _tell_each_minute(self) -> None:
        while not self._closed.wait(self._interval):
            self._tell_now()

    def _tell_now(self) -> None:
        with self._changing:
            running = len(self._running)
            several = f"{running} trials running, " if running > 1 else ""
            _tell(f"{several}{self._now}{self._left()}")

    def _left(self) -> str:
        seconds = self._time.left()
        return "" if seconds is None else f", about {duration(seconds)} left"


def _tell(line: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
