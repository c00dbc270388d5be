"""Where the voxels of a series lie, as its headers say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk_dicom.header import Header

# DICOM runs to the left and the back, NIfTI to the right and the front.
TO_RIGHT_AND_FRONT = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_of(slices: Sequence[Header]) -> np.ndarray | None:
    """Return the matrix from indices (d, h, w) of a series to mm, (4, 4) float64.

    Millimetres run to the right, the front and up (DICOM PS3.3, C.7.6.2.1.1, with its first two
    axes reversed). None: a file states no position, orientation or pixel spacing. A single slice is
    taken to be 1 mm thick.

    Args:
        slices: In the order of d.
    """
    first, last = slices[0], slices[-1]
    if first.orientation is None or first.spacing is None:
        return None
    if first.position is None or last.position is None:
        return None
    rows, columns = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    between_rows, between_columns = first.spacing
    begin = np.array(first.position)
    step = np.cross(rows, columns)
    if len(slices) > 1:
        step = (np.array(last.position) - begin) / (len(slices) - 1)
    affine = np.eye(4)
    affine[:3] = np.stack([step, columns * between_rows, rows * between_columns, begin], axis=1)
    placed = TO_RIGHT_AND_FRONT @ affine
    is_usable = np.isfinite(placed).all() and abs(np.linalg.det(placed)) > 0
    return placed if is_usable else None


def spacing_of(affine: np.ndarray) -> np.ndarray:
    """Return the distance of voxels in mm along (d, h, w) of a matrix of :func:`affine_of`."""
    return np.linalg.norm(affine[:3, :3], axis=0)
