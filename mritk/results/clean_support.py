"""What scores of clean test samples rest on: samples and units of each class, or too few of them.

A mean over classes gives a class of two images the weight of one of two hundred, and resamples of a
class that is all right, or all wrong, never vary: such a number looks sure and says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.store.record import Predictions
from mritk.tasks.task import Task

# Of n units that are all right, 0.5 ** n is the chance if the class is right half of the time: five
# are the least with which that is refuted at 5 %.
LEAST_UNITS = 5
ALL = -1  # stands for all classes
# Class, clean samples, and units that these are from.
Counts = tuple[tuple[int, int, int], ...]


def counts_of(test: Predictions, task: Task) -> Counts:
    """Count clean samples and units of all, and of each class that the test part has."""
    clean, unit = test.known_clean, np.asarray(test.unit)
    chosen = {ALL: clean}
    if task.classes:
        chosen |= {int(k): clean & (test.target == k) for k in np.unique(test.target)}
    return tuple((k, int(rows.sum()), len(np.unique(unit[rows]))) for k, rows in chosen.items())


@dataclass(frozen=True)
class CleanSupport:
    """What the clean test samples of a run are.

    Attributes:
        counts: By class that is tested, or :data:`ALL`: clean samples, and units that they are
            from. Over the folds of a run; of several divisions, those of the fewest units.
    """

    counts: Mapping[int, tuple[int, int]]

    @classmethod
    def of(cls, folds: Iterable[tuple[int, Counts]]) -> CleanSupport:
        """Return that of the test parts of a row or table.

        Args:
            folds: Of each fold, its repeat and its counts.
        """
        runs: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
        for repeat, counts in folds:
            run = runs[repeat]
            for k, samples, units in counts:
                before = run.get(k, (0, 0))
                run[k] = (before[0] + samples, before[1] + units)
        classes = sorted({k for run in runs.values() for k in run})
        every = {k: [run.get(k, (0, 0)) for run in runs.values()] for k in classes}
        return cls({k: min(found, key=lambda found: found[::-1]) for k, found in every.items()})

    @classmethod
    def of_test(cls, test: Predictions, task: Task) -> CleanSupport:
        """Return that of the test part of one trial."""
        return cls.of([(0, counts_of(test, task))])

    def short_of(self, metric: Metric) -> list[int]:
        """Return the classes that have too few units for a metric; :data:`ALL` for all of them."""
        if self.counts.get(ALL, (0, 0))[1] < LEAST_UNITS:
            return [ALL]
        if not metric.per_class:
            return []
        return [k for k, (_, units) in self.counts.items() if k != ALL and units < LEAST_UNITS]

    def withheld(self, metric: Metric, task: Task) -> str:
        """Say in a few words why a metric is not shown; nothing if it is."""
        short = self.short_of(metric)
        if not short:
            return ""
        names = ["groups" if k == ALL else task.classes[k] for k in short]
        what = names[0] if len(short) == 1 else f"{len(short)} classes"
        return f"{what} < {LEAST_UNITS}"

    def of_classes(self, task: Task) -> dict[str, tuple[int, int]]:
        """Return the counts of each class that is tested, by its name."""
        names = task.classes
        return {names[k]: found for k, found in self.counts.items() if k != ALL}
