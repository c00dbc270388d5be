"""Lines for a file, a pipe or a log of continuous integration."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from mritk_progress.duration import duration

if TYPE_CHECKING:
    from mritk import Epoch

MINUTE = 60.0


class ProgressLog:
    """A line when a trial ends, one a minute while one is trained, and one after the first epoch.

    The line of the minute comes from a thread of its own, because an epoch may last for hours.
    """

    def __init__(self, total: int, interval: float = MINUTE) -> None:
        self._total, self._interval = total, interval
        self._began = time.monotonic()
        self._now = "nothing has ended yet"
        self._finished, self._share = 0, 0.0
        self._foretold = False
        self._closed = Event()
        self._thread = Thread(target=self._tell_each_minute, name="progress", daemon=True)
        self._thread.start()

    def start_trial(self, trial: str, position: int, total: int) -> None:
        """Name the trial that begins."""
        self._trial, self._count = trial, f"trial {position}/{total}"
        self._now, self._share = f"{self._count}, {trial}", 0.0
        self._trial_began = time.monotonic()

    def end_epoch(self, epoch: Epoch) -> None:
        """Keep an epoch for the next line; after the first one, the time left can be told."""
        self._share = epoch.epoch / epoch.epochs
        self._now = (
            f"{self._count}, epoch {epoch.epoch}/{epoch.epochs}, loss {epoch.train_loss:.3f}, "
            f"val {epoch.val_loss:.3f}, {self._trial}"
        )
        # Where an executor trains, epochs are told when their trial is done, all at once.
        live = time.monotonic() - self._trial_began >= epoch.seconds / 2
        if live and not self._foretold:
            self._foretold = True
            self._tell_now()

    def finish_trial(self, row: str) -> None:
        """Leave the row of a trial, and the time left."""
        self._finished, self._share, self._foretold = self._finished + 1, 0.0, True
        self._now = f"{self._finished} of {self._total} trials have ended"
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
        """Return how long the rest takes if its trials take what those before took."""
        done = self._finished + self._share
        if not 0 < done < self._total:
            return ""
        seconds = (time.monotonic() - self._began) * (self._total - done) / done
        return f", about {duration(seconds)} left"


def _tell(line: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
