"""The part of a dataset that a method is given: training or validation, later test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import UsageError
from mritk.files.workspace import Workspace
from mritk.images.decode import decoded
from mritk.images.derived import Compute, Derived, derived
from mritk.images.grid import GridLike
from mritk.images.label_maps import label_maps
from mritk.images.preprocessing import UNCHANGED, Preprocessing
from mritk.images.stored_images import StoredImages
from mritk.machine.host_memory import fits_in_memory
from mritk.tasks.unlabelled import Unlabelled


@dataclass(frozen=True, eq=False)
class Subset:
    """A subset of the samples of a dataset, without access to the others.

    Attributes:
        samples: The samples of this subset, in order.
        decode: Returns their decoded images for a size or grid and an interpolation.
        derive: Returns their rows of values computed once from all images of the dataset, for a
            key and a computation; see :func:`mritk.images.derived.derived`.
        map_labels: Returns their label maps for a size or grid.
    """

    samples: Samples
    decode: Callable[[GridLike, str], np.ndarray | StoredImages]
    derive: Callable[[Mapping[str, Any], Compute], Derived]
    map_labels: Callable[[GridLike], np.ndarray | StoredImages]

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

        def own(array: np.ndarray) -> np.ndarray | StoredImages:
            stored = StoredImages(array, positions)
            # A copy: what a method holds does not lead to the pixels of another part.
            return np.asarray(stored) if fits_in_memory(stored.nbytes) else stored

        def decode(size: GridLike, interpolation: str) -> np.ndarray | StoredImages:
            return own(decoded(whole, size, interpolation, workspace, preprocessing))

        def map_labels(size: GridLike) -> np.ndarray | StoredImages:
            return own(label_maps(whole, size, workspace))

        def derive(key: Mapping[str, Any], compute: Compute) -> Derived:
            return derived(whole, key, compute, workspace, preprocessing).only(positions)

        # Nothing that learns or predicts sees a lesion with which its explanations are compared.
        return cls(replace(whole.only(positions), read_lesion=None), decode, derive, map_labels)

    def without_targets(self) -> Subset:
        """Return the same samples without targets, label maps and covariates."""
        samples, n = self.samples, len(self)
        hidden = replace(
            samples, targets=np.zeros(n), task=Unlabelled(), read_target=None, covariates={}
        )

        def map_labels(size: GridLike) -> np.ndarray | StoredImages:
            raise UsageError("samples without targets have no label maps")

        return replace(self, samples=hidden, map_labels=map_labels)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def targets(self) -> np.ndarray:
        """(N,) int64 class indices or float64 values."""
        return self.samples.targets

    def read(self, i: int) -> np.ndarray:
        """Return sample ``i`` of this subset as returned by the dataset, of any shape."""
        return self.samples.read(i)

    def images(self, size: GridLike, interpolation: str = "bilinear") -> np.ndarray | StoredImages:
        """Return the images or volumes of this subset, decoded once, resized and preprocessed.

        Args:
            size: Side in pixels or voxels, or one per axis, to which they are resized; or a
                :class:`mritk.Grid`; None: as they are.
            interpolation: ``bilinear``, ``bicubic`` or ``nearest``; of images.

        Returns:
            An array of shape (N, H, W), (N, H, W, 3) or (N, D, H, W), uint8 or float32 in [0, 1];
            if ``samples.channels`` names channels, (N, C, *spatial), uint8 or float16. If it does
            not fit in the available memory (:mod:`mritk.machine.host_memory`), the same images on
            disk, whose ``take(rows)`` reads a batch.
        """
        return self.decode(size, interpolation)

    def masks(self, size: GridLike) -> np.ndarray | StoredImages:
        """Return the label maps of this subset on the grid of its images.

        Args:
            size: As given to :meth:`images`. Each place has the label nearest to it.

        Returns:
            (N, *spatial) uint8, or the same on disk as in :meth:`images`. To compare what is
            predicted on this grid with ``samples.read_target(i)``, see
            :func:`mritk.to_sample_grid`.

        Raises:
            UsageError: The task has no label maps.
        """
        return self.map_labels(size)
