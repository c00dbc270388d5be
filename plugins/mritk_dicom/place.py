"""Where the voxels of a series lie, as its headers say.

**Even slices.** One matrix places all voxels of a series only if its slices follow each other in
equal steps. Writers round positions, mostly to 0.01 mm or less, so a slice may lie up to a tenth of
a step from its place, in any direction. Such rounding passes, and no missing slice does: another
one is then a quarter of a step out of place or more. (Of others, dcm2niix tells steps that differ
by 0.2 mm, and dicom2nifti by 0.1 mm and 5 %.) Slices that are shifted evenly beside each other, as
by the tilt of a gantry, have equal steps: the matrix is sheared, and the spacing along d is the
length of a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk_dicom.header import Header

# DICOM runs to the left and the back, NIfTI to the right and the front.
TO_RIGHT_AND_FRONT = np.diag([-1.0, -1.0, 1.0, 1.0])

# How far a slice may lie from its place, in steps.
UNEVEN = 0.1


def affine_of(slices: Sequence[Header]) -> np.ndarray | None:
    """Return the matrix from indices (d, h, w) of a series to mm, (4, 4) float64.

    Millimetres run to the right, the front and up (DICOM PS3.3, C.7.6.2.1.1, with its first two
    axes reversed). None: a file states no position, orientation or pixel spacing. A single slice is
    taken to be 1 mm thick.

    Args:
        slices: In the order of d, and even, see :func:`unevenness`.
    """
    first, positions = slices[0], _positions(slices)
    if first.orientation is None or first.spacing is None or positions is None:
        return None
    rows, columns = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    between_rows, between_columns = first.spacing
    begin = positions[0]
    step = np.cross(rows, columns)
    if len(slices) > 1:
        step = _step(positions)
    affine = np.eye(4)
    affine[:3] = np.stack([step, columns * between_rows, rows * between_columns, begin], axis=1)
    placed = TO_RIGHT_AND_FRONT @ affine
    is_usable = np.isfinite(placed).all() and abs(np.linalg.det(placed)) > 0
    return placed if is_usable else None


def unevenness(slices: Sequence[Header]) -> str:
    """Return how the slices of a series are unevenly spaced; nothing if they are even.

    Of slices that state no positions it is not known, and nothing.

    Args:
        slices: In the order of d.
    """
    positions = _positions(slices)
    if positions is None or len(positions) < 3:
        return ""
    step = _step(positions)
    even = positions[0] + np.arange(len(positions))[:, np.newaxis] * step
    off = np.linalg.norm(positions - even, axis=1).max()
    if off <= UNEVEN * np.linalg.norm(step):
        return ""
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    return f"steps of {steps.min():.3g} to {steps.max():.3g} mm, up to {off:.3g} mm out of place"


def _positions(slices: Sequence[Header]) -> np.ndarray | None:
    """Return where the slices begin, (D, 3) mm; None: one of them does not say it."""
    stated = [header.position for header in slices if header.position is not None]
    return np.array(stated) if len(stated) == len(slices) else None


def _step(positions: np.ndarray) -> np.ndarray:
    return (positions[-1] - positions[0]) / (len(positions) - 1)


def spacing_of(affine: np.ndarray) -> np.ndarray:
    """Return the distance of voxels in mm along (d, h, w) of a matrix of :func:`affine_of`."""
    return np.linalg.norm(affine[:3, :3], axis=0)
