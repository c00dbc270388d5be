"""How a sample becomes a row of the decoded ones, channel by channel if it has several.

The source of this file is part of the key of what it makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mritk.errors import DataError
from mritk.files.code_state import digest_of_sources, versions
from mritk.images import grid as grids
from mritk.images import preprocessing, sample_grid, shaping
from mritk.images.grid import Grid
from mritk.images.preprocessing import Preprocessing
from mritk.images.sample_grid import fit_channel
from mritk.images.shaping import pixels_of, resized_by_pillow


@dataclass(frozen=True)
class Shaping:
    """How an array as a dataset gives it becomes a row of the decoded ones.

    Attributes:
        spatial_dims: 2 for images, 3 for volumes.
        grid: Of the network's input.
        interpolation: Used to resize images.
        preprocessing: Applied after resizing.
        channels: Names of the channels; empty: grey or RGB.
    """

    spatial_dims: int
    grid: Grid
    interpolation: str
    preprocessing: Preprocessing
    channels: tuple[str, ...]

    def of(self, array: np.ndarray, spacing: np.ndarray | None) -> np.ndarray:
        """Return the row: (C, *spatial) with named channels, else (*spatial) or (H, W, 3).

        It is uint8 or, with named channels, float16, else float32.

        Raises:
            DataError: The array is of a wrong dtype, range or shape; or its spacing is needed and
                not known.
        """
        if not self.channels:
            return self._row(array, spacing)
        count, names = len(self.channels), ", ".join(self.channels)
        if array.ndim != self.spatial_dims + 1 or len(array) != count:
            raise DataError(
                f"has shape {array.shape}; with the channels {names} it must have {count} along "
                f"the first of {self.spatial_dims + 1} axes"
            )
        row = np.stack([self._row(channel, spacing) for channel in array])
        return row if row.dtype == np.uint8 else row.astype(np.float16)

    def _row(self, array: np.ndarray, spacing: np.ndarray | None) -> np.ndarray:
        fitted = self._fitted(pixels_of(array, self.spatial_dims), spacing)
        return self.preprocessing.of(fitted, spatial_dims=self.spatial_dims)

    def _fitted(self, pixels: np.ndarray, spacing: np.ndarray | None) -> np.ndarray:
        if pixels.ndim == self.spatial_dims:
            return fit_channel(pixels, self.grid, self.interpolation, spacing)
        if pixels.dtype == np.uint8 and self.grid.fit == "resize":
            sides = self.grid.sides(2) or pixels.shape[:2]  # all at once, in two thirds of the time
            return resized_by_pillow(pixels, sides, self.interpolation)
        planes = np.moveaxis(pixels, -1, 0)
        return np.stack(
            [fit_channel(p, self.grid, self.interpolation, spacing) for p in planes], axis=-1
        )


@cache
def shaping_code() -> tuple[str, ...]:
    """Return what rows depend on besides arrays: this code, and the libraries that resize."""
    others = (grids.__file__, preprocessing.__file__, sample_grid.__file__, shaping.__file__)
    sources = [digest_of_sources(Path(file)) for file in (__file__, *others)]
    return (*sources, *versions(("numpy", "pillow", "scipy")))


def one_channel(array: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Return a sample with one channel for all: the mean of named ones, of the same dtype.

    It is what the audit and thumbnails show of a sample; without named channels, the array itself.
    """
    if not channels:
        return array
    mean = array.mean(axis=0, dtype=np.float32)
    return np.rint(mean).astype(np.uint8) if array.dtype == np.uint8 else mean
