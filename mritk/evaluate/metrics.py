"""Every metric by name: those of mritk, and those of plugins where they are handed in.

An undefined value is NaN with a reason, never 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from mritk.errors import UnknownName
from mritk.evaluate import classification, regression
from mritk.evaluate.metric import Metric
from mritk.tasks.task import Task


def metrics_of(
    task: Task, extra: Sequence[Metric] = (), *, shown: bool = True
) -> tuple[Metric, ...]:
    """Return the metrics of a task.

    Args:
        task: The task.
        extra: Metrics of plugins.
        shown: Only the usual columns of a leaderboard, the first of which sorts; else all.
    """
    if shown:
        return classification.SHOWN if task.classes else regression.SHOWN
    return tuple(m for m in all_metrics(extra).values() if m.task == task.kind)


def all_metrics(extra: Sequence[Metric] = ()) -> Mapping[str, Metric]:
    """Return every metric by name."""
    return {
        metric.name: metric
        for metric in (*classification.CLASSIFICATION, *regression.REGRESSION, *extra)
    }


def find_metric(name: str, task: Task | None = None, extra: Sequence[Metric] = ()) -> Metric:
    """Return a metric by name, of one task if it is given.

    Raises:
        UnknownName: There is no such metric.
    """
    known = {n: m for n, m in all_metrics(extra).items() if task is None or m.task == task.kind}
    if name not in known:
        near = difflib.get_close_matches(name, known, 2, 0.5)
        hint = f"did you mean {' or '.join(near)}? There is" if near else "there is"
        raise UnknownName(f"unknown metric {name!r}; {hint} {', '.join(known)}")
    return known[name]
