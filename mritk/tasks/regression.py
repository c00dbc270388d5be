"""A number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mritk.errors import DataError
from mritk.tasks.task import Task


@dataclass(frozen=True)
class Regression(Task):
    """The target is a number in ``unit``; scores are values of shape (N,).

    Attributes:
        unit: Unit for tables and figures, such as ``years``.
    """

    unit: str = ""
    kind: ClassVar[str] = "regression"

    @property
    def outputs(self) -> int:
        """One value."""
        return 1

    def checked_targets(self, targets: np.ndarray, n: int) -> np.ndarray:
        """Return (n,) float64 values; see :meth:`Task.checked_targets`."""
        values = targets.astype(np.float64)
        if not np.isfinite(values).all():
            raise DataError("regression targets must be finite")
        return values

    def score_shape(self, n: int) -> tuple[int, ...]:
        """Return (n,)."""
        return (n,)

    def identity(self) -> tuple[str, ...]:
        """Return the unit."""
        return (self.unit,)

    def as_dict(self) -> dict[str, Any]:
        """Return kind and unit."""
        return {"kind": self.kind, "unit": self.unit}
