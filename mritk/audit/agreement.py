"""How well a prediction agrees with a picture: in all, and at the worst place."""

from __future__ import annotations

import numpy as np

from mritk.audit.filters import blurred
from mritk.audit.register import halved

# Standard deviations of the neighbourhood over which agreement is averaged, and of that over which
# the worst place is looked for, which is small as lesions are; in pixels of a quarter of the side.
NEIGHBOURHOOD, PLACE = 1.5, 1.0
# Text, rulers and frames that two pictures share are stronger than what they differ in. So no place
# counts for more than this many times the average.
MOST = 2.0


def agreement(
    predicted: np.ndarray, wanted: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of structure in which a prediction disagrees, and the agreement at the worst
    place."""
    one, other = predicted * mask, wanted * mask
    products = [_quarter(part) for part in (one * one, other * other, one * other)]
    shares = []
    for width in (NEIGHBOURHOOD, PLACE):
        first, second, both = (blurred(part, width) for part in products)
        strength = np.sqrt(np.maximum(first * second, 1e-9))
        shares.append((strength, np.maximum(strength - both, 0)))
    (strength, missing), (here, missing_here) = shares
    weight = np.minimum(strength, MOST * strength.mean(axis=(1, 2), keepdims=True))
    rest = (weight * missing / strength).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    floor = 0.5 * np.minimum(here, MOST * here.mean(axis=(1, 2), keepdims=True))
    floor = floor.mean(axis=(1, 2), keepdims=True)
    seen = _quarter(mask) > 0.5
    return rest, 1 - (missing_here / (here + floor) * seen).max(axis=(1, 2))


def sharpness_of(finest: np.ndarray, band: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the share of the finest structure, no place counting for much more, (P,)."""
    finest, all_of_it = (blurred(_quarter((p * mask) ** 2), NEIGHBOURHOOD) for p in (finest, band))
    weight = np.minimum(all_of_it, MOST * all_of_it.mean(axis=(1, 2), keepdims=True))
    shares = weight * finest / np.maximum(all_of_it, 1e-9)
    share: np.ndarray = shares.sum(axis=(1, 2)) / np.maximum(weight.sum(axis=(1, 2)), 1e-9)
    return share


def _quarter(pictures: np.ndarray) -> np.ndarray:
    return halved(halved(pictures))
