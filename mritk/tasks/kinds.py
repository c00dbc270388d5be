"""The kinds of tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mritk.tasks.classification import Classification
from mritk.tasks.regression import Regression
from mritk.tasks.segmentation import Segmentation
from mritk.tasks.task import Task
from mritk.tasks.unlabelled import Unlabelled


def task_from_dict(data: Mapping[str, Any]) -> Task:
    """Return the task of :meth:`Task.as_dict`.

    Raises:
        LookupError: Its kind is unknown.
    """
    kind = data["kind"]
    if kind == Classification.kind:
        return Classification(tuple(data["classes"]))
    if kind == Regression.kind:
        return Regression(data["unit"])
    if kind == Segmentation.kind:
        regions = {name: tuple(members) for name, members in data["regions"].items()}
        return Segmentation(tuple(data["labels"]), regions)
    if kind == Unlabelled.kind:
        return Unlabelled()
    raise LookupError(f"unknown kind of task {kind!r}")
