"""The normalised surface distance: which share of two surfaces lies close to the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy import ndimage

# Headers keep affines as float32, so that voxels of 1 mm, turned, are 1.00000003 mm apart.
ROUNDING = 1e-5


def nsd(
    predicted: np.ndarray, reference: np.ndarray, spacing: Sequence[float], *, tolerance: float
) -> float:
    """Return the share of surface voxels at most ``tolerance`` mm from the other surface.

    Of both surfaces together, as MONAI's ``compute_surface_dice`` counts (Nikolov et al. 2021,
    arXiv:1809.04430, with voxels for the area of a surface). A surface voxel has a face neighbour
    outside the region, or outside the map. Axes of one voxel do not count: across a single slice
    every voxel would be at the surface.

    Args:
        predicted: bool, (*spatial).
        reference: bool, likewise.
        spacing: Distance of voxels in mm along each axis.
        tolerance: In mm; a distance that equals it, or exceeds it by rounding (1e-5 of it), is
            within.

    Returns:
        Between 0 and 1; 0 if one region is empty, NaN if both are.
    """
    if not predicted.any() or not reference.any():
        return 0.0 if (predicted | reference).any() else math.nan
    thin = [axis for axis, length in enumerate(reference.shape) if length == 1]
    thin = thin[: reference.ndim - 1]  # one axis stays
    predicted, reference = (np.squeeze(region, tuple(thin)) for region in (predicted, reference))
    spacing = np.delete(spacing, thin).tolist()
    box = tuple(slice(rows.min(), rows.max() + 1) for rows in np.nonzero(predicted | reference))
    one, other = (_surface(region[box]) for region in (predicted, reference))
    close = total = 0
    for surface, to in ((one, other), (other, one)):
        distances = ndimage.distance_transform_edt(~to, sampling=spacing)[surface]
        close += int((distances <= tolerance * (1 + ROUNDING)).sum())
        total += len(distances)
    return close / total


nsd_1mm, nsd_2mm, nsd_5mm = (partial(nsd, tolerance=mm) for mm in (1, 2, 5))


def _surface(region: np.ndarray) -> np.ndarray:
    inside = ndimage.binary_erosion(np.pad(region, 1))[tuple(slice(1, -1) for _ in region.shape)]
    surface: np.ndarray = region & ~inside
    return surface
