"""The part of a dataset that a method is given: training or validation, later test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        decode: Returns their decoded images for a size and an interpolation.
    """

    samples: Samples
    decode: Callable[[int | None, str], np.ndarray]

    @classmethod
    def of(cls, whole: Samples, rows: Sequence[int] | np.ndarray, workspace: Workspace) -> Subset:
        """Return the part of ``whole`` at ``rows``."""
        positions = np.asarray(rows, dtype=np.int64)

        def decode(size: int | None, interpolation: str) -> np.ndarray:
            # Indexing copies: what a method holds does not lead to the pixels of another part.
            return decoded(whole, size, interpolation, workspace)[positions]

        return cls(whole.only(positions), decode)

    def __len__(self) -> int:
        return len(self.samples)

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
            An array of shape (N, H, W), (N, H, W, 3) or (N, D, H, W), uint8 or float32.
        """
        return self.decode(size, interpolation)
