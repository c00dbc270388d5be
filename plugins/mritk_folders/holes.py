"""How much of each sample is NaN or infinite in its file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class Holes:
    """Reads samples, and remembers what share of each was no number.

    Args:
        read: Returns sample ``i``, and the share of it, from 0 to 1, that is no number in its file.
    """

    def __init__(self, read: Callable[[int], tuple[np.ndarray, float]]) -> None:
        self._read = read
        self._shares: dict[int, float] = {}

    def read(self, i: int) -> np.ndarray:
        """Return sample ``i``."""
        array, self._shares[i] = self._read(i)
        return array

    def share(self, i: int) -> float:
        """Return the share of sample ``i`` that is no number; it is read unless it was."""
        if i not in self._shares:
            self.read(i)
        return self._shares[i]
