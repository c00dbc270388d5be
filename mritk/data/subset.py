"""The part of a dataset that a method is given: training or validation, later test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.data.decode import decoded
from mritk.data.samples import Samples
from mritk.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Subset:
    """Some samples of a dataset, and nothing of the others.

    Attributes:
        samples: The samples of this part alone, in order.
        whole: The dataset they were taken from; read only through :meth:`images`.
        rows: (N,) positions in ``whole``.
        workspace: Where decoded arrays are kept.
    """

    samples: Samples
    whole: Samples
    rows: np.ndarray
    workspace: Workspace

    @classmethod
    def of(cls, whole: Samples, rows: Sequence[int] | np.ndarray, workspace: Workspace) -> Subset:
        """Return the part of ``whole`` at ``rows``."""
        positions = np.asarray(rows, dtype=np.int64)
        return cls(whole.only(positions), whole, positions, workspace)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> np.ndarray:
        """(N,) int64 class indices or float64 values."""
        return self.samples.targets

    def read(self, i: int) -> np.ndarray:
        """Return sample ``i`` of this part as the dataset gives it, of any shape."""
        return self.samples.read(i)

    def images(self, size: int | None, interpolation: str = "bilinear") -> np.ndarray:
        """Return this part's images or volumes, decoded once and resized.

        Returns:
            A copy of shape (N, H, W), (N, H, W, 3) or (N, D, H, W), uint8 or float32. It is a
            copy so that no method can reach the pixels of another part.
        """
        return decoded(self.whole, size, interpolation, self.workspace)[self.rows]
