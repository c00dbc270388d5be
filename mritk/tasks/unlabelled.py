"""Nothing: samples without a target, for methods that learn from images alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mritk.errors import DataError
from mritk.tasks.task import Task


@dataclass(frozen=True)
class Unlabelled(Task):
    """The samples have no target. A method may yield weights or embeddings, but no scores."""

    kind: ClassVar[str] = "unlabelled"
    has_scores: ClassVar[bool] = False

    @property
    def outputs(self) -> int:
        """No outputs."""
        return 0

    def checked_targets(self, targets: np.ndarray, n: int) -> np.ndarray:
        """Return (n,) zeros; see :meth:`Task.checked_targets`."""
        if targets.any():
            raise DataError("unlabelled samples have no targets")
        return np.zeros(n, dtype=np.float64)

    def score_shape(self, n: int) -> tuple[int, ...]:
        """Return (n, 0)."""
        return (n, 0)

    def describe(self) -> str:
        """Say that there are no targets."""
        return "no targets"

    def identity(self) -> tuple[str, ...]:
        """Nothing tells it from others of its kind."""
        return ()

    def as_dict(self) -> dict[str, Any]:
        """Return the kind."""
        return {"kind": self.kind}
