"""Whether a map of what a network looked at lies where the lesion is.

A map is compared at the area of the lesion: as many of its highest places as the lesion has. So a
map cannot gain by being large, and places outside of both count for nothing.
"""

from __future__ import annotations

import math

import numpy as np

SEED = 0


def from_the_top(values: np.ndarray) -> np.ndarray:
    """Return the flat positions of a map from its highest value down, (P,) int64.

    Equal values, of which Grad-CAM has many zeros, come in an order that says nothing of place.
    """
    flat = values.ravel()
    shuffled = np.random.default_rng(SEED).permutation(flat.size)
    return shuffled[np.argsort(-flat[shuffled], kind="stable")]


def matched_dice(values: np.ndarray, lesion: np.ndarray) -> float:
    """Return the Dice of a lesion and as many of a map's highest places; NaN without a lesion.

    Of equal places that are too many, the share inside counts, as in :func:`pointing`.

    Args:
        values: The map, finite.
        lesion: bool, of the same shape.
    """
    count = int(lesion.sum())
    if not count:
        return math.nan
    lowest = np.partition(values, -count, axis=None)[-count]
    above, equal = values > lowest, values == lowest
    inside = lesion[above].sum() + (count - above.sum()) * lesion[equal].mean()
    return float(inside / count)


def matched_iou(values: np.ndarray, lesion: np.ndarray) -> float:
    """Return the intersection over the union of the same; NaN without a lesion."""
    found = matched_dice(values, lesion)
    return found / (2 - found)


def pointing(values: np.ndarray, lesion: np.ndarray) -> float:
    """Return 1 if the highest place of a map is in the lesion, else 0; NaN without a lesion.

    The pointing game of Zhang et al. (2018), Top-down neural attention by excitation backprop,
    IJCV 126, without its margin. Of several highest places the share inside counts.
    """
    if not lesion.any():
        return math.nan
    return float(lesion[values == values.max()].mean())
