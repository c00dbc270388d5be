"""Decide whether two small pictures show the same image.

Brightness, contrast, gamma and clipping are changes of intensity alone, so one picture is first
mapped onto the intensities of the other by a piecewise linear curve fitted to the pair. What is
then left of the finer structure (edges of a few pixels) must agree. Neighbouring slices of one
volume differ there, because every contour has moved a little; re-encoded and resized copies do not.
"""

from __future__ import annotations

import numpy as np

from mritk.audit.align import aligned
from mritk.audit.bands import BandPass, correlation
from mritk.audit.symmetry import symmetries

# Blurs, in pixels of the small picture, whose difference is the structure that is compared.
WIDTHS = {2: (0.7, 2.0), 3: (0.7, 2.0)}
KNOTS = 8

# Neighbouring slices, 1 mm apart, of the MNI152 average (the smoothest head there is) reach 0.992
# as whole frames and 0.986 as content laid upon content; JPEG of quality 20 on a picture of 128
# pixels keeps 0.995, padding and then JPEG of quality 30 keeps 0.990. docs/audit.md has the table.
SAME_WHOLE = 0.994
SAME_SMALL = 0.997
SAME_CONTENT = 0.988
# Below this no curve of intensities makes two pictures the same; it saves the fit.
HOPELESS = 0.75


def similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how much of the structure of each pair agrees, (N,) in [-1, 1].

    Args:
        one: Small pictures (N, S, S) or (N, S, S, S), float32.
        other: Their partners, laid upon them.
    """
    dims = one.ndim - 1
    band = BandPass(one.shape[1], *WIDTHS[dims])
    filtered, partners = band(one), band(other)
    found = correlation(filtered, partners)
    hopeful = np.flatnonzero(found > HOPELESS)
    if len(hopeful):
        a, b = one[hopeful], other[hopeful]
        # Clipping can be undone in neither direction but imitated in one.
        forth = correlation(band(with_intensities_of(a, b)), partners[hopeful])
        back = correlation(band(with_intensities_of(b, a)), filtered[hopeful])
        found[hopeful] = np.maximum(forth, back)
    return found


def with_intensities_of(pictures: np.ndarray, models: np.ndarray) -> np.ndarray:
    """Return ``pictures`` after the intensity curve that brings each closest to its model.

    The curve is linear between :data:`KNOTS` + 1 evenly spaced intensities, a least-squares fit.
    """
    x = pictures.reshape(len(pictures), -1)
    y = models.reshape(len(models), -1)
    low = x.min(axis=1, keepdims=True)
    span = np.maximum(x.max(axis=1, keepdims=True) - low, 1e-6)
    position = (x - low) / span * KNOTS
    knot = np.minimum(position.astype(np.int64), KNOTS - 1)
    right = (position - knot).astype(np.float32)
    left = 1 - right
    width = KNOTS + 1
    index = (knot + width * np.arange(len(x))[:, None]).ravel()

    def total(values: np.ndarray) -> np.ndarray:
        sums = np.bincount(index, values.ravel(), minlength=width * len(x))
        return sums.reshape(len(x), width)

    # Each pixel touches two neighbouring knots, so the normal equations are tridiagonal.
    own, beyond, between = total(left * left), total(right * right), total(left * right)
    gram = np.zeros((len(x), width, width))
    steps = np.arange(width)
    gram[:, steps, steps] = own + np.roll(beyond, 1, axis=1) + 1e-3
    gram[:, steps[:-1], steps[1:]] = gram[:, steps[1:], steps[:-1]] = between[:, :-1]
    wanted = total(left * y) + np.roll(total(right * y), 1, axis=1)
    curve = np.linalg.solve(gram, wanted[..., None])[..., 0].astype(np.float32).ravel()
    at = index.reshape(x.shape)
    return (left * curve[at] + right * curve[at + 1]).reshape(pictures.shape)


# Pairs that are compared at once; it bounds the memory.
BATCH = 256


def compare(
    pictures: np.ndarray, i: np.ndarray, j: np.ndarray, turn: np.ndarray, *, align: bool
) -> np.ndarray:
    """Return the similarity of candidate pairs, (P,).

    Args:
        pictures: (N, S, S) or (N, S, S, S) uint8.
        i: Rows of the one picture.
        j: Rows of the other.
        turn: Number of the symmetry that lays picture j upon picture i.
        align: Whether to correct small errors of position and size first, as they come about
            where the border of the content is found a little differently in two copies.
    """
    found = np.empty(len(i), np.float32)
    turns = symmetries(pictures.ndim - 1)
    for start in range(0, len(i), BATCH):
        batch = slice(start, start + BATCH)
        one, other = (pictures[rows[batch]].astype(np.float32) for rows in (i, j))
        for number in np.unique(turn[batch]):
            rows = turn[batch] == number
            other[rows] = turns[number].apply(other[rows])
        found[batch] = similarity(one, aligned(one, other) if align else other)
    return found
