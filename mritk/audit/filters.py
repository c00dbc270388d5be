"""Band-pass filters on batches of small pictures, as products with small matrices.

A blur reaches a few pixels, so its matrix is zero but for a band about the diagonal. Pictures are
blurred by blocks of its rows, which leaves most of the zeros out.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

# Rows of a block, and the side of pictures from which on blocks are faster than all rows at once.
BLOCK, BY_BLOCKS = 16, 64


def along_axes(matrix: np.ndarray, grids: np.ndarray) -> np.ndarray:
    """Apply ``matrix`` (T, S) along every axis of ``grids`` (N, S, …) but the first."""
    if grids.ndim == 3:  # of pictures both at once, without moving any axis
        both: np.ndarray = matrix @ grids @ matrix.T
        return both
    for axis in range(1, grids.ndim):
        grids = np.moveaxis(np.moveaxis(grids, axis, -1) @ matrix.T, -1, axis)
    return grids


@cache
def gaussian(side: int, width: float) -> np.ndarray:
    """Return the matrix (S, S) float32 that blurs along one axis; see :func:`blurred`."""
    radius = int(4 * width + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / width) ** 2)
    matrix = np.zeros((side, side))
    rows = np.arange(side)[:, None]
    np.add.at(matrix, (rows, np.clip(rows + offsets, 0, side - 1)), weights / weights.sum())
    return matrix.astype(np.float32)


def blurred(grids: np.ndarray, width: float) -> np.ndarray:
    """Return ``grids`` (N, S, …) float32 after a Gaussian blur of this width (SD) in pixels.

    Edges are continued by their last value.
    """
    side = grids.shape[1]
    if grids.ndim != 3 or side < BY_BLOCKS:
        return along_axes(gaussian(side, width), grids)
    halfway, both = (np.empty(grids.shape, np.float32) for _ in "ab")
    for rows, reach, part in _blocks(side, width):
        np.matmul(part, grids[:, reach], out=halfway[:, rows])
    # Along the other axis all rows of all pictures are alike: one product for all.
    flat, result = halfway.reshape(-1, side), both.reshape(-1, side)
    for columns, reach, part in _blocks(side, width):
        np.matmul(flat[:, reach], part.T, out=result[:, columns])
    return both


@cache
def _blocks(side: int, width: float) -> tuple[tuple[slice, slice, np.ndarray], ...]:
    """Return the blocks of rows of :func:`gaussian`: which rows, the columns in which they are not
    zero, and their values there."""
    matrix, blocks = gaussian(side, width), []
    for top in range(0, side, BLOCK):
        rows = slice(top, top + BLOCK)
        used = np.flatnonzero(matrix[rows].any(axis=0))
        reach = slice(int(used[0]), int(used[-1]) + 1)
        blocks.append((rows, reach, np.ascontiguousarray(matrix[rows, reach])))
    return tuple(blocks)


def band_passed(grids: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Return the difference of two blurs of ``grids``, whose widths are given."""
    return blurred(grids, fine) - blurred(grids, coarse)


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each pair of grids, (N,) float32; 0 without structure."""
    size = math.prod(one.shape[1:])  # -1 could not be told where there is no pair
    a, b = (grids.reshape(len(grids), size) for grids in (one, other))
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    products: np.ndarray = (a * b).sum(axis=1)
    return np.divide(products, norm, out=np.zeros_like(products), where=norm > 1e-3)
