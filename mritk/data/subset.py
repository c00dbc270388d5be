"""The part of a dataset that a method is given: training or validation, later test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mritk.data.decode import decoded
from mritk.data.derived import Compute, Derived, derived
from mritk.data.preprocessing import UNCHANGED, Preprocessing
from mritk.data.samples import Samples
from mritk.data.stored_images import StoredImages
from mritk.files.workspace import Workspace
from mritk.machine.host_memory import fits_in_memory


@dataclass(frozen=True, eq=False)
class Subset:
    """A subset of the samples of a dataset, without access to the others.

    Attributes:
        samples: The samples of this subset, in order.
        decode: Returns their decoded images for a size and an interpolation.
        derive: Returns their rows of values computed once from all images of the dataset, for a
            key and a computation; see :func:`mritk.data.derived.derived`.
    """

    samples: Samples
    decode: Callable[[int | None, str], np.ndarray | StoredImages]
    derive: Callable[[Mapping[str, Any], Compute], Derived]

    @classmethod
    def of(
        cls,
        whole: Samples,
        rows: Sequence[int] | np.ndarray,
        workspace: Workspace,
        preprocessing: Preprocessing = UNCHANGED,
    ) -> Subset:
        """Return the subset of ``whole`` at ``rows``, with ``preprocessing`` of each image."""
        positions = np.asarray(rows, dtype=np.int64)

        def decode(size: int | None, interpolation: str) -> np.ndarray | StoredImages:
            array = decoded(whole, size, interpolation, workspace, preprocessing)
            stored = StoredImages(array, positions)
            # A copy: what a method holds does not lead to the pixels of another part.
            return np.asarray(stored) if fits_in_memory(stored.nbytes) else stored

        def derive(key: Mapping[str, Any], compute: Compute) -> Derived:
            return derived(whole, key, compute, workspace, preprocessing).only(positions)

        return cls(whole.only(positions), decode, derive)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def targets(self) -> np.ndarray:
        """(N,) int64 class indices or float64 values."""
        return self.samples.targets

    def read(self, i: int) -> np.ndarray:
        """Return sample ``i`` of this subset as returned by the dataset, of any shape."""
        return self.samples.read(i)

    def images(
        self, size: int | None, interpolation: str = "bilinear"
    ) -> np.ndarray | StoredImages:
        """Return the images or volumes of this subset, decoded once, resized and preprocessed.

        Returns:
            An array of shape (N, H, W), (N, H, W, 3) or (N, D, H, W), uint8 or float32. If it
            does not fit in the available memory (:mod:`mritk.machine.host_memory`), the same
            images on disk, whose ``take(rows)`` reads a batch.
        """
        return self.decode(size, interpolation)
