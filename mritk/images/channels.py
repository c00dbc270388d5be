"""Samples of several channels, such as MRI sequences, and fits other than a square or a cube.

Grey and coloured images and grey volumes that are stretched to one side are made by
:mod:`mritk.images.shaping`; here its rules are applied to each channel. The source of this file is
part of the key of what it makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mritk.errors import DataError
from mritk.files.code_state import digest_of_sources
from mritk.images import grid as grids
from mritk.images import sample_grid
from mritk.images.grid import Grid
from mritk.images.preprocessing import UNCHANGED, Preprocessing
from mritk.images.sample_grid import fit_channel
from mritk.images.shaping import Shaping


@dataclass(frozen=True)
class ChannelShaping:
    """How an array as a dataset gives it becomes a row of the decoded ones, channel by channel.

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
            plain = self._checked(array)
            if plain.ndim == self.spatial_dims:
                return self._changed(self._fitted(plain, spacing))
            planes = [self._fitted(plane, spacing) for plane in np.moveaxis(plain, -1, 0)]
            return self._changed(np.stack(planes, -1))
        count, names = len(self.channels), ", ".join(self.channels)
        if array.ndim != self.spatial_dims + 1 or len(array) != count:
            raise DataError(
                f"has shape {array.shape}; with the channels {names} it must have {count} along "
                f"the first of {self.spatial_dims + 1} axes"
            )
        fitted = (self._fitted(self._checked(one), spacing) for one in array)
        row = np.stack([self._changed(one) for one in fitted])
        return row if row.dtype == np.uint8 else row.astype(np.float16)

    def _checked(self, array: np.ndarray) -> np.ndarray:
        return Shaping(self.spatial_dims, None, self.interpolation, UNCHANGED).of(array)

    def _fitted(self, channel: np.ndarray, spacing: np.ndarray | None) -> np.ndarray:
        return fit_channel(channel, self.grid, self.interpolation, spacing)

    def _changed(self, array: np.ndarray) -> np.ndarray:
        return self.preprocessing.of(array, spatial_dims=self.spatial_dims)


@cache
def channels_code() -> tuple[str, ...]:
    """Return the code that rows depend on besides :func:`mritk.images.shaping.shaping_code`."""
    files = (__file__, sample_grid.__file__, grids.__file__)
    return tuple(digest_of_sources(Path(file)) for file in files)


def one_channel(array: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Return a sample with one channel for all: the mean of named ones, of the same dtype.

    It is what the audit and thumbnails show of a sample; without named channels, the array itself.
    """
    if not channels:
        return array
    mean = array.mean(axis=0, dtype=np.float32)
    return np.rint(mean).astype(np.uint8) if array.dtype == np.uint8 else mean
