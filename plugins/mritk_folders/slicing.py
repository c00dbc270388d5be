"""Choose axial slices of a volume by a stated rule."""

from __future__ import annotations

import numpy as np

from mritk import DataError

# A voxel shows tissue when it is brighter than a tenth of the scale: above the noise of air.
TISSUE = 25

# A slice shows the head when so much of it is tissue; one bright voxel in the air does not count.
FILLED = 0.01


def axial_slices(volume: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` axial slices, evenly spaced over the central 60 % of the head.

    The head reaches from the first to the last slice of which at least 1 % is brighter than a
    tenth of the scale. Its lower and upper fifths (neck and jaw, vertex) are left out; the rest is
    divided into ``count`` equal slabs, and the slice in the middle of each is taken.

    Args:
        volume: (D, H, W) uint8, from inferior to superior.
        count: 1 or more.

    Returns:
        (count, H, W) uint8, from inferior to superior.

    Raises:
        DataError: No slice shows a head, or the central 60 % has fewer than ``count`` slices.
    """
    share = (volume > TISSUE).mean(axis=(1, 2))
    head = np.flatnonzero(share >= FILLED)
    if not len(head):
        raise DataError(
            "no axial slice contains a head (1 % of it brighter than a tenth of the scale); use "
            "slices=0 for this volume"
        )
    return volume[slice_rows(int(head[0]), int(head[-1]) + 1, count)]


def slice_rows(start: int, stop: int, count: int) -> list[int]:
    """Return ``count`` different rows in the central 60 % of ``range(start, stop)``, ascending.

    Raises:
        DataError: There are not so many.
    """
    length = stop - start
    most = max(1, length * 6 // 10)
    if count > most:
        raise DataError(
            f"the central 60 % of its {length} axial slices with head has fewer than {count} "
            f"slices; use slices={most} or fewer"
        )
    # Row start + length × (0.2 + 0.6 × (j + ½) / count) in whole numbers, which cannot collide.
    return [start + length * (2 * count + 6 * j + 3) // (10 * count) for j in range(count)]
