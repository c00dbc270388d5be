"""Time cases side by side: round after round, each case once per round.

The speed of a shared machine drifts by tens of per cent within minutes. Cases that take turns meet
the same drift, and the ratio of two cases of one round is free of most of it.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One repetition.

    Attributes:
        seconds: Wall time.
        cpu_seconds: Processor time of this process and of the children that it waited for.
        other_load: Share of the machine's processors that others used meanwhile; None where the
            system does not tell.
    """

    seconds: float
    cpu_seconds: float
    other_load: float | None = None


class Timer:
    """Measures from its making to each :meth:`lap`."""

    def __init__(self) -> None:
        self._busy, self._own, self._wall = _busy_seconds(), _own_seconds(), time.perf_counter()

    def lap(self) -> Sample:
        """Return what has passed since the timer was made."""
        wall, own = time.perf_counter() - self._wall, _own_seconds() - self._own
        busy = _busy_seconds()
        if busy is None or self._busy is None:
            return Sample(wall, own)
        others = (busy - self._busy - own) / (wall * (os.cpu_count() or 1))
        return Sample(wall, own, min(1.0, max(0.0, others)))


def interleaved(
    cases: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: bool = True
) -> dict[str, list[Sample]]:
    """Run every case ``repeats`` times, taking turns.

    Args:
        cases: What is timed; a case on a GPU waits for the device itself.
        repeats: Number of rounds that count.
        warm_up: Whether a round that does not count comes first.

    Returns:
        The samples of each case, in order of rounds.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in cases}
    for number in range(-1 if warm_up else 0, repeats):
        for name, run in cases.items():
            timer = Timer()
            run()
            sample = timer.lap()
            which = "warm-up" if number < 0 else f"round {number + 1} of {repeats}"
            progress(f"  {which}: {name}: {sample.seconds:.2f} s")
            if number >= 0:
                samples[name].append(sample)
    return samples


def median_seconds(samples: Sequence[Sample]) -> float:
    """Return the median wall time."""
    return statistics.median(sample.seconds for sample in samples)


def median_cpu_seconds(samples: Sequence[Sample]) -> float:
    """Return the median processor time."""
    return statistics.median(sample.cpu_seconds for sample in samples)


def ratio(samples: Sequence[Sample], base: Sequence[Sample]) -> float:
    """Return how many times as long as ``base`` the first case took: the median over the rounds.

    Raises:
        ValueError: They are not of the same rounds.
    """
    pairs = zip(samples, base, strict=True)
    return statistics.median(sample.seconds / of.seconds for sample, of in pairs)


def added(first: Sequence[Sample], second: Sequence[Sample]) -> list[Sample]:
    """Return the samples of a case that is one case and then another, round by round."""
    return [
        Sample(
            a.seconds + b.seconds,
            a.cpu_seconds + b.cpu_seconds,
            max((x for x in (a.other_load, b.other_load) if x is not None), default=None),
        )
        for a, b in zip(first, second, strict=True)
    ]


def progress(line: str) -> None:
    """Tell the person who waits how far it is."""
    print(line, file=sys.stderr, flush=True)


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_seconds() -> float | None:
    """Return the processor seconds that everybody has used since the machine was started."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        ticks = [int(field) for field in fields]
    except (OSError, ValueError):  # not Linux
        return None
    # user, nice, system, irq, softirq, steal; idle and waiting are left out, guests are in user.
    return sum(ticks[i] for i in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")
