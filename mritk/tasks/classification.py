"""One of several classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mritk.errors import DataError
from mritk.tasks.task import Task, names_of


@dataclass(frozen=True)
class Classification(Task):
    """The target is one of ``classes``; scores are logits of shape (N, len(classes)).

    Attributes:
        classes: Their names, in the order of the indices in ``Samples.targets``.
    """

    classes: tuple[str, ...]
    kind: ClassVar[str] = "classification"
    shared: ClassVar[str] = "class proportions"

    def __post_init__(self) -> None:
        """Refuse classes that are no names: ``"ab"`` is not the classes a and b."""
        object.__setattr__(self, "classes", names_of("classes", self.classes))

    @property
    def outputs(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def checked_targets(self, targets: np.ndarray, n: int) -> np.ndarray:
        """Return (n,) int64 indices of the classes; see :meth:`Task.checked_targets`."""
        if len(self.classes) < 2:
            found = ", ".join(self.classes) or "none"
            raise DataError(f"a classification needs at least two classes; found {found}")
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"class names must be unique: {', '.join(self.classes)}")
        indices = targets.astype(np.int64)
        if len(targets) and (
            (indices != targets).any() or indices.min() < 0 or indices.max() >= self.outputs
        ):
            raise DataError(f"targets must be indices of the {self.outputs} classes, starting at 0")
        return indices

    def score_shape(self, n: int) -> tuple[int, ...]:
        """Return (n, number of classes)."""
        return (n, self.outputs)

    def describe(self) -> str:
        """Return the names of the classes."""
        return ", ".join(self.classes)

    def target_value(self, target: float) -> str:
        """Return the name of the class."""
        return self.classes[int(target)]

    def target_text(self, target: float) -> str:
        """Return the name of the class."""
        return self.classes[int(target)]

    def strata(self, targets: np.ndarray, parts: int) -> np.ndarray:
        """Return the classes that occur, numbered from 0; see :meth:`Task.strata`."""
        return np.unique(targets, return_inverse=True)[1]

    def support(self, targets: np.ndarray) -> dict[str, int]:
        """Return the samples of each class; see :meth:`Task.support`."""
        counts = np.bincount(targets, minlength=self.outputs).tolist()
        return dict(zip(self.classes, counts, strict=True))

    def summary(self, targets: np.ndarray) -> dict[str, Any]:
        """Return :meth:`support` as ``classes``; see :meth:`Task.summary`."""
        return {"classes": self.support(targets)}

    def shares(self, targets: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Return the share of each class; see :meth:`Task.shares`."""
        return np.bincount(targets, minlength=self.outputs) / len(targets)

    def identity(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return self.classes

    def as_dict(self) -> dict[str, Any]:
        """Return kind and classes."""
        return {"kind": self.kind, "classes": list(self.classes)}
