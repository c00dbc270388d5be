"""What is predicted: the interface of all kinds of tasks.

Everything that depends on the kind of a task is asked of the task itself, of its metrics
(:mod:`mritk.evaluate.metrics`) or of its loss (:mod:`mritk.model.objective`). No other code decides
on a kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np


class Task(ABC):
    """What is predicted of each sample.

    Attributes:
        kind: Name of the kind, as stored in trial files and named by metrics.
        classes: Names of the classes of a sample; empty where its target is no class.
        unit: Unit of a target that is a number; empty where there is none.
        has_target_maps: Whether the target of a sample is a label map.
    """

    kind: ClassVar[str]
    classes: tuple[str, ...] = ()
    unit: str = ""
    has_target_maps: ClassVar[bool] = False

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of output channels of a network for this task."""

    @abstractmethod
    def checked_targets(self, targets: np.ndarray, n: int) -> np.ndarray:
        """Return the targets of ``n`` samples in the dtype of the task, (n,).

        Raises:
            DataError: They do not fit the task.
        """

    @abstractmethod
    def score_shape(self, n: int) -> tuple[int, ...]:
        """Return the shape of the scores of ``n`` samples."""

    @abstractmethod
    def identity(self) -> tuple[str, ...]:
        """Return what tells it from other tasks of its kind; part of a dataset's fingerprint."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able data that :func:`mritk.tasks.kinds.task_from_dict` reads."""
