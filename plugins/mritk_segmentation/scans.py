"""Scans and their label maps as batches, and scores back on the grid of each scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mritk import Setup, Subset, UsageError, images_at, to_sample_grid
from mritk.train import zscore


class Scans:
    """The samples of a part, on the grid of a protocol."""

    def __init__(self, setup: Setup, subset: Subset, method: str, divisor: int) -> None:
        """Decode them, or look where they are kept.

        Args:
            setup: Of the training.
            subset: The samples.
            method: Its name, for messages.
            divisor: What the sides of the input are multiples of; unless it is 1, one is larger.

        Raises:
            UsageError: They are not.
        """
        self._subset, self._grid, self._device = subset, setup.input_grid, setup.device
        self._images = subset.images(self._grid)
        # Named channels come before the sides of a sample, colours behind them.
        self._named, dims = bool(subset.samples.channels), subset.samples.spatial_dims or 2
        self._colours = not self._named and self._images.ndim == dims + 2
        sides = self._images.shape[1 + self._named :][:dims]
        shape = "×".join(map(str, sides))
        if any(side % divisor for side in sides):
            raise UsageError(
                f"{method} needs sides that are multiples of {divisor}, but the input has {shape} "
                f"voxels; set image_size or volume_size to a multiple of {divisor} in the protocol"
            )
        if 1 < divisor == max(sides):  # the last level would be one place, which no norm takes
            raise UsageError(
                f"{method} needs a side of more than {divisor} voxels, but the input has {shape}; "
                f"set image_size or volume_size to {2 * divisor} or more in the protocol"
            )

    def __len__(self) -> int:
        return len(self._subset)

    @property
    def channels(self) -> int:
        """Number of channels of a batch."""
        if self._named:
            return int(self._images.shape[1])
        return int(self._images.shape[-1]) if self._colours else 1

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Return scans as z-scores, (N, C, *spatial) float32 on the device."""
        images = self._placed(self._images, rows).float()
        if self._colours:
            return zscore(images.movedim(-1, 1))
        return zscore(images if self._named else images[:, None])

    def masks(self, rows: torch.Tensor) -> torch.Tensor:
        """Return their label maps, (N, *spatial) int64 on the device."""
        return self._placed(self._masks, rows).long()

    @cached_property
    def _masks(self) -> Any:
        return self._subset.masks(self._grid)

    def _placed(self, values: Any, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of an array, or of one on disk, on the device."""
        here = images_at(values, rows.numpy())
        return torch.from_numpy(here).to(self._device, non_blocking=True)

    def label_maps(self, score: Callable[[torch.Tensor], torch.Tensor]) -> list[np.ndarray]:
        """Return a label map on the voxels of each scan, for logits (1, labels, *spatial)."""
        samples, maps = self._subset.samples, []
        assert samples.read_target is not None
        for row in range(len(self)):
            probabilities = score(self.batch(torch.tensor([row])))[0].softmax(dim=0).cpu().numpy()
            spacing = None if samples.spacing is None else samples.spacing[row]
            shape = samples.read_target(row).shape
            there = to_sample_grid(probabilities, shape, self._grid, spacing)
            maps.append(there.argmax(axis=0).astype(np.uint8))
        return maps
