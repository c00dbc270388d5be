"""How long a run will still take, from the trials and epochs so far."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mritk import Epoch


@dataclass
class _Running:
    """A trial that is being trained: when it began, and what it takes as far as epochs tell."""

    began: float
    expected: float | None = None


class TimeLeft:
    """Supposes that a trial to come takes as long as one so far, and that as many run at once.

    Args:
        total: Number of trials.
        clock: Returns seconds.
    """

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self._total, self._clock = total, clock
        self._running: dict[Hashable, _Running] = {}
        self._took: list[float] = []
        self._at_once = 1

    def start(self, trial: Hashable) -> None:
        """Note that a trial begins."""
        self._running[trial] = _Running(self._clock())
        self._at_once = max(self._at_once, len(self._running))

    def epoch(self, trial: Hashable, epoch: Epoch) -> bool:
        """Note an epoch; return whether it was told when it ended, and so says something."""
        running = self._running.get(trial)
        if running is None:
            return False
        elapsed = self._clock() - running.began
        # Some executors tell epochs when their trial is done, all at once.
        if elapsed < epoch.seconds / 2:
            return False
        running.expected = elapsed + (epoch.epochs - epoch.epoch) * epoch.seconds
        return True

    def finish(self, trial: Hashable) -> None:
        """Note that a trial has ended."""
        running = self._running.pop(trial, None)
        if running is not None:
            self._took.append(self._clock() - running.began)

    def left(self) -> float | None:
        """Return the seconds left; None: nothing is known, or nothing is left."""
        now = self._clock()
        foreseen = [r.expected for r in self._running.values() if r.expected is not None]
        known = [*self._took, *foreseen]
        if not known or len(self._took) == self._total:
            return None
        mean = sum(known) / len(known)
        rests = [
            max(0.0, running.began + (running.expected or mean) - now)
            for running in self._running.values()
        ]
        waiting = self._total - len(self._took) - len(self._running)
        return max([(sum(rests) + mean * waiting) / self._at_once, *rests])
