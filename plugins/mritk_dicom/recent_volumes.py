"""Decode a series once for all its slices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

import numpy as np

from mritk import DataError
from mritk_dicom.pixels import read_volume
from mritk_dicom.series import Series

# Threads work on neighbouring slices, so that a few series are in use at a time.
KEPT = 4


class RecentVolumes:
    """The volumes of N series, of which the last few are kept; may be called from many threads."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._series = series
        self._locks = [Lock() for _ in series]
        self._attempt = lru_cache(maxsize=KEPT)(self._volume_or_error)

    def __call__(self, number: int) -> np.ndarray:
        """Return the volume (D, H, W) of series ``number``.

        Raises:
            DataError: See :func:`mritk_dicom.pixels.read_volume`.
        """
        with self._locks[number]:  # threads that ask for one series together decode it once
            found = self._attempt(number)
        if isinstance(found, DataError):
            raise DataError(str(found)) from found
        return found

    def _volume_or_error(self, number: int) -> np.ndarray | DataError:
        # Errors are remembered too, or a broken series would be read again for each slice.
        try:
            return read_volume(self._series[number].slices)
        except DataError as error:
            return error
