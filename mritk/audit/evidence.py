"""Decide whether two small pictures show the same image.

Brightness, contrast, gamma and clipping are changes of intensity alone, so one picture is first
mapped onto the intensities of the other by a piecewise linear curve fitted to the pair. What is
then left of the finer structure (edges of a few pixels) must agree. Neighbouring slices of one
volume differ there, because every contour has moved a little; re-encoded and resized copies do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mritk.audit.align import aligned
from mritk.audit.filters import band_passed, blurred, correlation
from mritk.audit.register import halved
from mritk.audit.search import FINE, Scale
from mritk.audit.symmetry import turn_each
from mritk.machine.in_threads import made_in_threads

KNOTS = 8

# What the finer structure of copies agrees in. Neighbouring slices, 1 mm apart, of the MNI152
# average (the smoothest head there is) reach 0.992 as whole frames and 0.987 as content laid upon
# content; JPEG of quality 20 on a picture of 128 pixels keeps 0.995, padding and then JPEG of
# quality 30 keeps 0.990. docs/audit.md has the table.
SAME_WHOLE = 0.994
SAME_CONTENT = 0.988
# Content that covers less than this share of the frame is so small in the picture of the whole
# frame that neighbouring slices hardly differ there (up to 0.997): more is asked then, and more
# still of images whose content is too small as well to be compared for itself.
ENOUGH_CONTENT = 0.25
SAME_SMALL = 0.997

# The largest local disagreement of copies: a lesion in one of two slices changes little in all, and
# much in one place. JPEG of quality 30 and halved size stay below 0.03, most lesions of 5 mm and
# all of 12 mm lie above it.
LOCAL_WHOLE = 0.03
LOCAL_CONTENT = 0.045
# Borders and text that two pictures share raise what their frames agree in, so the content has a
# veto: unless the frames agree beyond doubt, the content is too coarse to be compared (fewer pixels
# than the small picture), or was not found alike in the two.
VETO = 0.085
BEYOND_DOUBT = 0.9993
NO_DISCREPANCY = 0.002
FOUND_ALIKE = 0.93
# Frames of images that agree less than DOUBTFUL may owe it to a border that all share, so their
# content must agree as well. Neighbours with one border reach 0.9861 there, 0.984 if no place of
# the frames differs by 0.016; JPEG of quality 20 on 128 pixels keeps the second.
DOUBTFUL = 0.9985
CONFIRMED, CONFIRMED_EVERYWHERE = 0.9863, 0.9845
EVERYWHERE = 0.016
# Gamma 0.5 of a smooth head makes neighbours agree up to here, but not everywhere.
LEAST_ALIKE = 0.9962
# Where both contents cover as much of their frames, nothing was padded: only intensities can have
# kept the frames from agreeing, and the content must agree better.
SAME_COVERAGE = 0.02
SAME_UNPADDED, LOCAL_UNPADDED = 0.991, 0.025

# Below this, by the number of dimensions, no curve of intensities makes two pictures the same; it
# saves the fit. Copies of volumes after gamma 2 correlate at 0.91.
HOPELESS = {2: 0.75, 3: 0.85}
# Heads are so alike that half of all pairs are candidates. Laid upon each other at half the
# resolution, copies of volumes agree by 0.93 (padded) and more, nine in ten of other pairs by less
# than this; it saves most of the registrations.
ALIKE_HALVED = 0.9
HALVED = Scale(0.5, 1.5, 1)

# Pairs that are compared at once, and in one thread; it bounds the memory.
BATCH, SHARE = 256, 64

# Standard deviation, in shares of the side, of the neighbourhood that local disagreement is over.
NEIGHBOURHOOD = 3 / 64


@dataclass(frozen=True, eq=False)
class SmallPictures:
    """The small pictures of N samples.

    Attributes:
        whole: (N, S, S) or (N, S, S, S) uint8, whole frames.
        content: The same of the content alone.
        coverage: (N,) share of the frame that the content covers.
        pixels: (N,) side of the content in pixels of the image.
    """

    whole: np.ndarray
    content: np.ndarray
    coverage: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well pairs of small pictures agree.

    Attributes:
        similarity: (P,) correlation of the finer structure after the intensity curve, in [-1, 1].
        discrepancy: (P,) largest local disagreement: the energy of the difference relative to the
            energy of both, 0 for equal pictures, about 1 for unrelated ones; inf for pairs that
            are hopeless.
    """

    similarity: np.ndarray
    discrepancy: np.ndarray


def agreement(one: np.ndarray, other: np.ndarray) -> Agreement:
    """Return how well the structure of each pair agrees.

    Args:
        one: Small pictures (N, S, S) or (N, S, S, S), float32.
        other: Their partners, laid upon them.
    """
    scale = FINE[one.ndim - 1]
    band = partial(band_passed, fine=scale.fine, coarse=scale.coarse)
    filtered, partners = band(one), band(other)
    similarity = correlation(filtered, partners)
    discrepancy = np.full(len(one), np.inf, np.float32)
    hopeful = np.flatnonzero(similarity > HOPELESS[one.ndim - 1])
    if len(hopeful):
        a, b = one[hopeful], other[hopeful]
        # Clipping can be undone in neither direction but imitated in one.
        forth, back = band(with_intensities_of(a, b)), band(with_intensities_of(b, a))
        pairs = ((forth, partners[hopeful]), (back, filtered[hopeful]))
        similarity[hopeful] = np.maximum(*(correlation(*pair) for pair in pairs))
        discrepancy[hopeful] = np.minimum(*(_local(*pair) for pair in pairs))
    return Agreement(similarity, discrepancy)


def _local(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the largest local share of energy in which filtered pictures differ, (N,)."""
    blur = partial(blurred, width=NEIGHBOURHOOD * one.shape[1])
    energy = blur(one * one) + blur(other * other)
    axes = tuple(range(1, one.ndim))
    # Where next to nothing is shown, noise would differ by all there is.
    floor = 0.3 * energy.mean(axis=axes, keepdims=True) + 1e-6
    largest: np.ndarray = (blur((one - other) ** 2) / (energy + floor)).max(axis=axes)
    return largest


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


def compare(
    pictures: np.ndarray, i: np.ndarray, j: np.ndarray, turn: np.ndarray, *, align: bool
) -> Agreement:
    """Return how well candidate pairs agree.

    Args:
        pictures: (N, S, S) or (N, S, S, S) uint8; pairs are rows i and j of them.
        turn: Number of the symmetry that lays picture j upon picture i.
        align: Whether to correct small errors of position and size first, as they come about
            where the border of the content is found a little differently in two copies.
    """

    def share(place: int) -> Agreement:
        rows = slice(place * SHARE, (place + 1) * SHARE)
        one, other = (pictures[places[rows]].astype(np.float32) for places in (i, j))
        turn_each(other, turn[rows], pictures.ndim - 1)
        return _agreement_laid_upon(one, other) if align else agreement(one, other)

    count = -(-len(i) // SHARE)
    shares = made_in_threads(share, count) if count > 1 else [share(0)]
    return Agreement(
        np.concatenate([found.similarity for found in shares]),
        np.concatenate([found.discrepancy for found in shares]),
    )


def _agreement_laid_upon(one: np.ndarray, other: np.ndarray) -> Agreement:
    """Return the agreement of each pair after registration; of volumes, only of those alike."""
    if one.ndim - 1 == 2:
        return agreement(one, aligned(one, other))
    band = partial(band_passed, fine=HALVED.fine, coarse=HALVED.coarse)
    small, partners = halved(one), halved(other)
    similarity = correlation(band(small), band(aligned(small, partners)))
    discrepancy = np.full(len(one), np.inf, np.float32)
    alike = np.flatnonzero(similarity >= ALIKE_HALVED)
    if len(alike):
        found = agreement(one[alike], aligned(one[alike], other[alike]))
        similarity[alike], discrepancy[alike] = found.similarity, found.discrepancy
    return Agreement(similarity, discrepancy)


def same_frames(
    small: SmallPictures, i: np.ndarray, j: np.ndarray, turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pairs are copies as whole frames, (P,) bool, and their similarity."""
    found = compare(small.whole, i, j, turn, align=False)
    covered = np.minimum(small.coverage[i], small.coverage[j]) >= ENOUGH_CONTENT
    least = np.where(covered, SAME_WHOLE, SAME_SMALL)
    same = (found.similarity >= least) & (found.discrepancy <= LOCAL_WHOLE)
    fine = np.minimum(small.pixels[i], small.pixels[j]) >= small.content.shape[1]
    clear = (found.similarity >= DOUBTFUL) | (small.whole.ndim != 3)
    same &= covered | fine | clear
    if small.whole.ndim == 3:
        same &= (found.similarity >= LEAST_ALIKE) | (found.discrepancy <= EVERYWHERE)
    doubt = (found.similarity < BEYOND_DOUBT) & (found.discrepancy > NO_DISCREPANCY)
    doubtful = np.flatnonzero(same & fine & doubt)
    if len(doubtful):
        content = compare(small.content, i[doubtful], j[doubtful], turn[doubtful], align=True)
        allowed = (content.discrepancy <= VETO) | (content.similarity < FOUND_ALIKE)
        everywhere = found.discrepancy[doubtful] <= EVERYWHERE
        least = np.where(everywhere, CONFIRMED_EVERYWHERE, CONFIRMED)
        allowed &= clear[doubtful] | (content.similarity >= least)
        same[doubtful] = allowed
    return same, found.similarity


def same_content(
    small: SmallPictures, i: np.ndarray, j: np.ndarray, turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pairs are copies once padding is taken off, (P,) bool, and their similarity."""
    found = compare(small.content, i, j, turn, align=True)
    unpadded = np.abs(small.coverage[i] - small.coverage[j]) < SAME_COVERAGE
    unpadded &= small.whole.ndim == 3
    least = np.where(unpadded, max(SAME_UNPADDED, SAME_CONTENT), SAME_CONTENT)
    most = np.where(unpadded, LOCAL_UNPADDED, LOCAL_CONTENT)
    same = (found.similarity >= least) & (found.discrepancy <= most)
    return same, found.similarity
