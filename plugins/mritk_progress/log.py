"""Lines for a file, a pipe or a log of continuous integration."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from mritk_progress.rows import duration

if TYPE_CHECKING:
    from mritk import Epoch

MINUTE = 60.0


class ProgressLog:
    """A line when a trial ends, one a minute while one is trained, and one after two epochs.

    The first epoch may be of a stage that trains the head alone, and says little of the others. The
    line of the minute comes from a thread of its own, because an epoch may last for hours.
    """

    def __init__(self, total: int, interval: float = MINUTE) -> None:
        self._total, self._interval = total, interval
        self._began = self._trial_began = time.monotonic()
        self._now = "no trial finished yet"
        self._finished = 0
        # What the trial that is being trained takes in all, as far as its epochs tell.
        self._expected: float | None = None
        self._foretold = False
        self._closed = Event()
        self._thread = Thread(target=self._tell_each_minute, name="progress", daemon=True)
        self._thread.start()

    def start_trial(self, trial: str, position: int, total: int) -> None:
        """Name the trial that begins."""
        self._trial, self._count = trial, f"trial {position}/{total}"
        self._now, self._expected = f"{self._count}, {trial}", None
        self._trial_began = time.monotonic()

    def end_epoch(self, epoch: Epoch) -> None:
        """Keep an epoch for the next line; after the second one, the time left can be told."""
        elapsed = time.monotonic() - self._trial_began
        # Where an executor trains, epochs are told when their trial is done, all at once.
        live = elapsed >= epoch.seconds / 2
        if live:
            self._expected = elapsed + (epoch.epochs - epoch.epoch) * epoch.seconds
        self._now = (
            f"{self._count}, epoch {epoch.epoch}/{epoch.epochs}, loss {epoch.train_loss:.3f}, "
            f"val {epoch.val_loss:.3f}, {self._trial}"
        )
        if live and not self._foretold and epoch.epoch >= min(2, epoch.epochs):
            self._foretold = True
            self._tell_now()

    def finish_trial(self, row: str) -> None:
        """Leave the row of a trial, and the time left."""
        self._finished, self._expected, self._foretold = self._finished + 1, None, True
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
        _tell(f"{self._now}{self._left()}")

    def _left(self) -> str:
        """Return how long the rest takes if its trials take what those before take."""
        now = time.monotonic()
        spent, waiting = now - self._began, self._total - self._finished
        if self._expected is None:
            if not self._finished or not waiting:
                return ""
            return f", about {duration(spent / self._finished * waiting)} left"
        before = self._trial_began - self._began
        mean = (before + self._expected) / (self._finished + 1)
        rest = max(0.0, self._trial_began + self._expected - now)
        return f", about {duration(rest + mean * (waiting - 1))} left"


def _tell(line: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
