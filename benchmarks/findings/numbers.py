"""Means and paired differences of balanced accuracy, with intervals, across protocols.

A leaderboard never ranks across protocols. A finding is about the difference between two of them,
on the same test samples and seeds; so it is computed here, knowingly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mritk.evaluate.comparison import Comparison
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.interval import Interval
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.run_values import Scored

METRIC = "balanced_accuracy"


@dataclass(frozen=True)
class Estimated:
    """A mean over runs, in points (hundredths), and its interval."""

    mean: float
    interval: Interval

    def __str__(self) -> str:
        return _with_interval(self.mean, self.interval, signed=False)


def means(rows: Mapping[str, Sequence[Scored]]) -> dict[str, Estimated]:
    """Return the mean of each row, the same samples resampled in all of them."""
    evidence, metric = _evidence(rows), find_metric(METRIC)
    return {
        name: Estimated(evidence.estimate(name, metric).point, evidence.interval(name, metric))
        for name in rows
    }


def difference(first: Sequence[Scored], second: Sequence[Scored]) -> Comparison:
    """Return first minus second on the seeds, folds and samples that both have."""
    evidence = _evidence({"first": first, "second": second})
    return evidence.compare([("first", "second")], find_metric(METRIC))[0]


def in_points(comparison: Comparison) -> str:
    """Return a difference as ``+16.3 [+9.5, +23.1]``."""
    return _with_interval(comparison.difference, comparison.interval, signed=True)


def _evidence(rows: Mapping[str, Sequence[Scored]]) -> Evidence:
    # Of samples of one class alone the mean over classes is the sensitivity for that class.
    return Evidence(rows, [find_metric(METRIC)], partial=True)


def _with_interval(value: float, interval: Interval, *, signed: bool) -> str:
    form = "+.1f" if signed else ".1f"
    if interval.reason:
        return f"{100 * value:{form}}"
    ends = f"{100 * interval.low:{form}}, {100 * interval.high:{form}}"
    return f"{100 * value:{form}} [{ends}]".replace("-", "−")
