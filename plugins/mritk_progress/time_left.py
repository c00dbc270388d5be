"""How long a run will still take, from the trials and epochs so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mritk import Epoch


@dataclass
class _Running:
    """A trial that is being trained: when it began, and what it takes as far as epochs tell."""

    kind: Hashable
    began: float
    expected: float | None = None


class TimeLeft:
    """Supposes that a trial takes as long as those of its kind, and that as many run at once.

    Args:
        kinds: The kind of each trial of the run, such as its backbone.
        clock: Returns seconds.
    """

    def __init__(self, kinds: Iterable[Hashable], clock: Callable[[], float]) -> None:
        self._waiting, self._clock = Counter(kinds), clock
        self._running: dict[Hashable, _Running] = {}
        self._took: dict[Hashable, list[float]] = defaultdict(list)
        self._at_once = 1
        self._last = clock()  # end of the last trial

    def start(self, trial: Hashable, kind: Hashable) -> None:
        """Note that a trial begins, or begins again: it ran out of memory beside others."""
        self._waiting[kind] -= trial not in self._running
        self._running[trial] = _Running(kind, self._clock())
        self._at_once = max(self._at_once, len(self._running))

    def epoch(self, trial: Hashable, epoch: Epoch) -> bool:
        """Note an epoch; return whether it tells what the trial takes.

        It does if it is told when it has ended, and is among those planned.
        """
        running = self._running.get(trial)
        if running is None:
            return False
        elapsed = self._clock() - running.began
        # Some executors tell epochs when their trial is done, all at once.
        if elapsed < epoch.seconds / 2:
            return False
        if not epoch.is_planned:
            running.expected = None
            return False
        running.expected = elapsed + (epoch.epochs - epoch.epoch) * epoch.seconds
        return True

    def finish(self, trial: Hashable) -> None:
        """Note that a trial has ended."""
        running, now = self._running.pop(trial, None), self._clock()
        if running is not None:
            # Some executors tell of a trial when it is done; it has begun when another one ended.
            self._took[running.kind].append(now - min(running.began, self._last))
        self._last = now

    def left(self) -> float | None:
        """Return the seconds left; None: a kind is unknown, or nothing is left."""
        known = {kind: list(seconds) for kind, seconds in self._took.items()}
        for running in self._running.values():
            if running.expected is not None:
                known.setdefault(running.kind, []).append(running.expected)
        waiting = +self._waiting
        if not (waiting or self._running):
            return None
        if not known.keys() >= waiting.keys() | {r.kind for r in self._running.values()}:
            return None
        usual = {kind: fmean(seconds) for kind, seconds in known.items()}
        now = self._clock()
        rests = [
            max(0.0, running.began + (running.expected or usual[running.kind]) - now)
            for running in self._running.values()
        ]
        to_come = sum(usual[kind] * count for kind, count in waiting.items())
        return max([(sum(rests) + to_come) / self._at_once, *rests])
