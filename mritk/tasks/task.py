"""What is predicted: the interface of all kinds of tasks.

Everything that depends on the kind of a task is asked of the task itself, of its metrics
(:mod:`mritk.evaluate.metrics`) or of its loss (:mod:`mritk.model.objective`). No other code decides
on a kind. What exists for classes only, such as a confusion matrix, asks for ``task.classes``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mritk.errors import DataError


class Task(ABC):
    """What is predicted of each sample.

    Attributes:
        kind: Name of the kind, as stored in trial files and named by metrics.
        classes: Names of the classes of a sample; empty where its target is no class.
        unit: Unit of a target that is a number; empty where there is none.
        columns: Names of the scores of one sample, where they are measured on a label map.
        has_target_maps: Whether the target of a sample is a label map.
        shared: What :meth:`shares` are of, to be followed by "differ"; empty where targets tell
            nothing.
        has_scores: Whether samples can be scored; without, a trial ends with its training.
    """

    kind: ClassVar[str]
    classes: tuple[str, ...] = ()
    unit: str = ""
    columns: tuple[str, ...] = ()
    shared: ClassVar[str] = ""
    has_target_maps: ClassVar[bool] = False
    has_scores: ClassVar[bool] = True

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
    def describe(self) -> str:
        """Return what the samples have, in words that follow "has": ``numeric targets``."""

    def target_value(self, target: float) -> str | float | None:
        """Return a target as JSON has it: the name of a class, a number, or None."""
        return None

    def target_text(self, target: float) -> str:
        """Return a target as text for people and for comparison; empty where it is no value."""
        return ""

    def strata(self, targets: np.ndarray, parts: int) -> np.ndarray:
        """Return what a draw spreads evenly over ``parts`` parts.

        Args:
            targets: (n,) targets.
            parts: How many parts are drawn; a stratum holds at least as many samples if it can.

        Returns:
            (n,) int64 numbers of strata, each from 0 to the last used; all 0 where targets tell
            nothing.
        """
        return np.zeros(len(targets), dtype=np.int64)

    @property
    def stratified(self) -> str:
        """How units are resampled, to be appended to a sentence: classes keep their shares."""
        return ", stratified by class" if self.classes else ""

    def support(self, targets: np.ndarray) -> dict[str, int]:
        """Return how many of the targets are of each class, in order; empty without classes."""
        return {}

    def summary(self, targets: np.ndarray) -> dict[str, Any]:
        """Return the distribution of targets as JSON-able values, empty where they tell nothing.

        ``classes`` are samples by class name; ``mean`` and ``sd`` (with n - 1) are in the unit, and
        None for fewer than one or two targets.
        """
        return {}

    def shares(self, targets: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Return the distribution of n > 0 targets in a form whose largest difference compares two.

        Args:
            targets: (n,) targets.
            whole: (N,) targets of all samples.

        Returns:
            (K,) shares of the classes, or of the targets up to each different value of ``whole``;
            a single 1 where targets tell nothing.
        """
        return np.ones(1)

    @abstractmethod
    def identity(self) -> tuple[str, ...]:
        """Return what tells it from other tasks of its kind; part of a dataset's fingerprint."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able data that :func:`mritk.tasks.kinds.task_from_dict` reads."""


def told_apart(tasks: Mapping[str, Task]) -> dict[str, str]:
    """Return, by the same names, what each has, in words that follow "has".

    Where other tasks would read alike, as do label maps of a region with other labels, their
    identity is added.
    """
    held = {name: task.describe() for name, task in tasks.items()}
    if len(set(held.values())) == len(set(tasks.values())):
        return held
    identity = {name: ", ".join(filter(None, task.identity())) for name, task in tasks.items()}
    return {
        name: f"{text} ({identity[name]})" if identity[name] else text
        for name, text in held.items()
    }


def names_of(what: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a task's ``what``, such as its classes.

    Raises:
        DataError: They are one text, or something else than texts.
    """
    names = () if isinstance(given, str) else tuple(given)
    if isinstance(given, str) or not all(isinstance(name, str) for name in names):
        shown = given if isinstance(given, str) else names
        raise DataError(f"{what} must be a tuple of names, such as ('0', '1'); got {shown!r}")
    return tuple(map(str, names))
