"""How much two regions overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def iou(predicted: np.ndarray, reference: np.ndarray, spacing: Sequence[float]) -> float:
    """Return |A ∩ B| / |A ∪ B| (Jaccard), between 0 and 1; NaN if both are empty.

    Args:
        predicted: bool, (*spatial).
        reference: bool, likewise.
        spacing: Distance of voxels in mm along each axis; of no account here.
    """
    either = int((predicted | reference).sum())
    return int((predicted & reference).sum()) / either if either else math.nan
