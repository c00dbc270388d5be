"""Band-pass filters on batches of small pictures, as products with small matrices."""

from __future__ import annotations

import math

import numpy as np


def along_axes(matrix: np.ndarray, grids: np.ndarray) -> np.ndarray:
    """Apply ``matrix`` (T, S) along every axis of ``grids`` (N, S, …) but the first."""
    if grids.ndim == 3:  # of pictures both at once, without moving any axis
        both: np.ndarray = matrix @ grids @ matrix.T
        return both
    for axis in range(1, grids.ndim):
        grids = np.moveaxis(np.moveaxis(grids, axis, -1) @ matrix.T, -1, axis)
    return grids


class Blur:
    """A Gaussian blur, edges continued by their last value.

    Args:
        side: Side S of the pictures in pixels.
        width: Standard deviation in pixels.
    """

    def __init__(self, side: int, width: float) -> None:
        from scipy.ndimage import gaussian_filter1d

        unit = np.eye(side, dtype=np.float32)
        self.matrix = gaussian_filter1d(unit, width, axis=0, mode="nearest")

    def __call__(self, grids: np.ndarray) -> np.ndarray:
        """Return ``grids`` (N, S, …) float32, blurred."""
        return along_axes(self.matrix, grids)


class BandPass:
    """The difference of two Gaussian blurs.

    Args:
        side: Side S of the pictures in pixels.
        fine: Standard deviation of the narrow blur in pixels.
        coarse: That of the wide one.
    """

    def __init__(self, side: int, fine: float, coarse: float) -> None:
        self.narrow, self.wide = Blur(side, fine), Blur(side, coarse)

    def __call__(self, grids: np.ndarray) -> np.ndarray:
        """Return ``grids`` (N, S, …) float32, filtered."""
        return self.narrow(grids) - self.wide(grids)


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each pair of grids, (N,) float32; 0 without structure."""
    size = math.prod(one.shape[1:])  # -1 could not be told where there is no pair
    a, b = (grids.reshape(len(grids), size) for grids in (one, other))
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    products: np.ndarray = (a * b).sum(axis=1)
    return np.divide(products, norm, out=np.zeros_like(products), where=norm > 1e-3)
