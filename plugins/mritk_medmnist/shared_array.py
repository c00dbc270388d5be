"""An array of an archive that is loaded when first needed, once for all threads."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np

from mritk import DataError
from mritk_medmnist.archive import read_array


class SharedArray:
    """The array ``key`` of the archive ``path``.

    Failing is remembered as well: a damaged array is decompressed once, and not once per sample.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._lock = Lock()
        self._array: np.ndarray | None = None
        self._failure = ""

    def __call__(self) -> np.ndarray:
        """Return the whole array, read-only.

        Raises:
            DataError: It cannot be read.
        """
        with self._lock:
            if self._failure:
                raise DataError(self._failure)
            if self._array is None:
                try:
                    self._array = read_array(self._path, self._key)
                except DataError as error:
                    self._failure = str(error)
                    raise
            return self._array
