"""Every metric by name: those of mritk, and those of plugins where they are handed in.

An undefined value is NaN with a reason, never 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from mritk.errors import UnknownName
from mritk.evaluate import classification, regression, segmentation
from mritk.evaluate.case_means import of_region
from mritk.evaluate.metric import Metric
from mritk.tasks.task import Task


def metrics_of(
    task: Task, extra: Sequence[Metric] = (), *, shown: bool = True
) -> tuple[Metric, ...]:
    """Return the metrics of a task, of mritk and of plugins (``extra``).

    ``shown``: only the usual columns of a leaderboard, the first of which sorts.
    """
    regions = segmentation.of_regions(task)
    if shown:
        usual = {
            "classification": classification.SHOWN,
            "regression": regression.SHOWN,
            "segmentation": (*segmentation.SEGMENTATION, *regions),
        }
        return usual.get(task.kind, ())
    known = [m for m in all_metrics(extra).values() if m.task == task.kind]
    return (*known, *regions, *(one for metric in known for one in _of_regions(metric, task)))


def _of_regions(metric: Metric, task: Task) -> Iterator[Metric]:
    """Yield a metric that measures label maps for each region alone, if there are several."""
    regions = segmentation.region_names(task)
    if metric.measure is not None and len(regions) > 1:
        for place, region in enumerate(regions):
            yield of_region(metric, region, place)


def all_metrics(extra: Sequence[Metric] = ()) -> Mapping[str, Metric]:
    """Return every metric by name."""
    own = (*classification.CLASSIFICATION, *regression.REGRESSION, *segmentation.SEGMENTATION)
    return {metric.name: metric for metric in (*own, *extra)}


def of_any_region(name: str) -> str:
    """Return the name of a metric without its region: ``dice`` for ``dice[WT]``."""
    return name.partition("[")[0] if name.endswith("]") else name


def find_metric(name: str, task: Task | None = None, extra: Sequence[Metric] = ()) -> Metric:
    """Return a metric by name, of one task if it is given.

    Without the task nobody knows its regions: ``dice[WT]`` then stands for ``dice``.

    Raises:
        UnknownName: There is no such metric.
    """
    found = all_metrics(extra).values() if task is None else metrics_of(task, extra, shown=False)
    known = {metric.name: metric for metric in found}
    if task is None and name not in known:
        name = of_any_region(name)
    if name not in known:
        near = difflib.get_close_matches(name, known, 2, 0.5)
        hint = f"did you mean {' or '.join(near)}? There is" if near else "there is"
        raise UnknownName(f"unknown metric {name!r}; {hint} {', '.join(known)}")
    return known[name]


def not_of_the_task(names: Sequence[str], task: Task, dataset: str) -> str:
    """Say that these are no metrics of a dataset's task."""
    return f"{no_metrics(names)} of {task.kind}, the task of {dataset}"


def no_metrics(names: Sequence[str]) -> str:
    """Say that these are no metrics."""
    return f"{' and '.join(names)} {'are no metrics' if len(names) > 1 else 'is no metric'}"
