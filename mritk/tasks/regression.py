"""A number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mritk.errors import DataError
from mritk.tasks.task import Task

# Targets are stratified by this many quantiles.
QUANTILES = 5


@dataclass(frozen=True)
class Regression(Task):
    """The target is a number in ``unit``; scores are values of shape (N,).

    Attributes:
        unit: Unit for tables and figures, such as ``years``.
    """

    unit: str = ""
    kind: ClassVar[str] = "regression"
    shared: ClassVar[str] = "proportions of targets up to any value"

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

    def describe(self) -> str:
        """Say that targets are numbers."""
        return "numeric targets"

    def target_value(self, target: float) -> float:
        """Return the number."""
        return target

    def target_text(self, target: float) -> str:
        """Return the number, without its unit."""
        return f"{target:.12g}"

    def strata(self, targets: np.ndarray, parts: int) -> np.ndarray:
        """Return quantiles with at least ``parts`` samples each; see :meth:`Task.strata`."""
        quantiles = max(1, min(QUANTILES, len(targets) // parts))
        ranks = np.argsort(np.argsort(targets, kind="stable"), kind="stable")
        return ranks * quantiles // max(1, len(targets))

    def summary(self, targets: np.ndarray) -> dict[str, Any]:
        """Return ``mean`` and ``sd``; see :meth:`Task.summary`."""
        return {
            "mean": float(targets.mean()) if len(targets) else None,
            "sd": float(targets.std(ddof=1)) if len(targets) > 1 else None,
        }

    def shares(self, targets: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Return the share up to each value: their largest difference is Kolmogorov-Smirnov's.

        See :meth:`Task.shares`.
        """
        return np.searchsorted(np.sort(targets), np.unique(whole), side="right") / len(targets)

    def identity(self) -> tuple[str, ...]:
        """Return the unit."""
        return (self.unit,)

    def as_dict(self) -> dict[str, Any]:
        """Return kind and unit."""
        return {"kind": self.kind, "unit": self.unit}
