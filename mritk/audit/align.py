"""Correct small errors of position and size between two small pictures (Gauss-Newton).

The model is a shift and a scale along each axis, and a linear change of intensity: Lucas and Kanade
(1981), with the least-squares steps of a whole batch solved at once.
"""

from __future__ import annotations

import numpy as np

STEPS = 4
# A few per cent: more than two findings of one border differ by.
LIMIT = 0.06


def aligned(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Return ``moving`` resampled so that it lies best upon ``fixed``; both (N, S, …) float32.

    A pair that cannot be brought together within :data:`LIMIT` comes back nearly as it was.
    """
    count, side, dims = len(fixed), fixed.shape[1], fixed.ndim - 1
    shift = np.zeros((count, dims))
    scale = np.zeros((count, dims))
    offset = (np.arange(side) - (side - 1) / 2) / side
    target = fixed.reshape(count, -1)
    for _ in range(STEPS):
        warped = _resampled(moving, shift, scale, offset)
        jacobian = np.empty((count, 2 * dims + 2, target.shape[1]))
        for axis in range(dims):
            gradient = np.gradient(warped, axis=axis + 1) * side
            along = offset.reshape([side if k == axis else 1 for k in range(dims)])
            jacobian[:, 2 * axis] = gradient.reshape(count, -1)
            jacobian[:, 2 * axis + 1] = (gradient * along).reshape(count, -1)
        jacobian[:, -2], jacobian[:, -1] = warped.reshape(count, -1), 1
        gram = jacobian @ np.swapaxes(jacobian, 1, 2)
        # Each unknown is held back in its own units: the offset is not a shift.
        own = np.diagonal(gram, axis1=1, axis2=2)
        gram += np.eye(gram.shape[-1]) * (1e-4 * own + 1e-6)[:, None, :]
        right = jacobian @ target[..., None]
        solution = np.linalg.solve(gram, right)[..., 0]
        gain = np.where(np.abs(solution[:, -2]) > 0.1, solution[:, -2], 1)
        for axis in range(dims):
            shift[:, axis] += solution[:, 2 * axis] / gain
            scale[:, axis] += solution[:, 2 * axis + 1] / gain
        np.clip(shift, -LIMIT, LIMIT, out=shift)
        np.clip(scale, -LIMIT, LIMIT, out=scale)
    return _resampled(moving, shift, scale, offset)


def _resampled(
    grids: np.ndarray, shift: np.ndarray, scale: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Return grids sampled at scaled and shifted places, by cubic convolution along each axis."""
    side = grids.shape[1]
    moved = grids
    for axis in range(grids.ndim - 1):
        place = offset + scale[:, axis, None] * offset + shift[:, axis, None]
        pixels = np.clip(place * side + (side - 1) / 2, 0, side - 1)
        weights = _cubic(pixels[..., None] - np.arange(side)).astype(np.float32)
        weights /= weights.sum(axis=-1, keepdims=True)
        rest = np.moveaxis(moved, axis + 1, 1)
        product = weights @ rest.reshape(len(rest), side, -1)
        moved = np.moveaxis(product.reshape(rest.shape), 1, axis + 1)
    return moved


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return the cubic convolution kernel with a = -1/2 (Keys 1981)."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))
