"""Several trainings side by side on one GPU, in lanes of one process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from benchmarks.speed.gpu_times import Case, Times
from benchmarks.speed.report import rounded, verdict
from mritk.machine.device import repeatable
from mritk.machine.lanes import Lanes
from mritk.method import Epoch
from mritk.train.loop import finetune

EPOCHS = 6
# Images/s in all of so many trainings at once as a multiple of one alone.
GAIN = {8: 3.0}


def side_by_side(times: Times, case: Case, counts: Sequence[int]) -> dict[str, Any]:
    """Return images/s in all of one training, and of each number of them at once."""
    rates = {count: _rate(times, case, count) for count in counts}
    most = max(counts)
    return {
        **case.columns,
        **{f"{count} at once, images/s": round(rate) for count, rate in rates.items()},
        "gain": rounded(rates[most] / rates[1]),
        "goals": verdict(rates[most] / rates[1], at_least=GAIN.get(most)),
    }


def _rate(times: Times, case: Case, count: int) -> float:
    """Return images/s in all, between the first epoch of the last lane and the end of the first."""
    setup = times.setup(case, EPOCHS - 1)
    ends: dict[int, list[float]] = {seed: [] for seed in range(count)}

    def train(seed: int) -> None:
        def after(epoch: Epoch) -> None:
            ends[seed].append(time.perf_counter())

        finetune(replace(setup, seed=seed, on_epoch=after))

    with repeatable(times.device, deterministic=case.deterministic):
        tasks = [("", partial(train, seed)) for seed in range(count)]
        for _ in Lanes[None](times.device, count).run(iter(tasks)):
            pass
    return epochs_per_second(ends) * (times.images // case.batch * case.batch)


def epochs_per_second(ends: Mapping[int, Sequence[float]]) -> float:
    """Return epochs per second in all while every training is behind its first and before its last.

    Args:
        ends: Of each training the times at which its epochs ended.
    """
    begin = max(of[0] for of in ends.values())
    end = min(of[-1] for of in ends.values())
    epochs = sum(_passed(of, end) - _passed(of, begin) for of in ends.values())
    return epochs / (end - begin)


def _passed(ends: Sequence[float], at: float) -> float:
    """Return how many epochs had passed, parts of one in proportion to its time."""
    for number, (first, last) in enumerate(pairwise(ends), 1):
        if at <= last:
            return number + max(0.0, at - first) / (last - first)
    return float(len(ends))
