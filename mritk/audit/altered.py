"""Find copies that were altered: sharpened, blurred, equalised, turned a little, shifted, cropped.

Few candidates of each picture are registered with it and explained by it (see
:mod:`mritk.audit.explain`). A pair is accepted if so much is explained as no neighbouring slice
reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mritk.audit.explain import AS_IS, EQUALISED, Explained, explained
from mritk.audit.nearest import SMOOTH, coarsest, nearest
from mritk.audit.register import grid, halved, refined, roughly_registered, warped
from mritk.audit.search import structure
from mritk.audit.symmetry import symmetries
from mritk.machine.in_threads import in_threads

# Correlations of locally normalised structure, after registration at 32, 64 and 128 pixels, below
# which nothing would explain the one by the other.
LIKELY = (0.88, 0.87, 0.86)
FINER = (64, 128)

# Equalising a picture amplifies the noise of its background, so that it may not be likely as it is.
# Equalised both, copies correlate at 0.9999 and above in their coarsest structure; pairs above this
# are registered so if they are not likely as they are.
EVENLY_ALIKE = 0.99

BATCH = 64


# Pixels of 128 around the content, in which its outermost contours still show.
MARGIN = 3


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is known of N images here.

    Attributes:
        detail: (N, 3, 128, 128) uint8, whole frames as they are, equalised, and with their edges
            enhanced.
        boxes: (N, 2, 2), first and last along each axis of their content, in shares of the frame.
    """

    detail: np.ndarray
    boxes: np.ndarray

    def content(self, rows: np.ndarray) -> np.ndarray:
        """Return where ``rows`` show their content, (P, S, S) float32."""
        side = self.detail.shape[-1]
        boxes = self.boxes[rows, :, :, None, None] - 0.5
        shown = np.ones((len(rows), side, side), bool)
        for axis, place in enumerate(grid(side)):
            shown &= (place >= boxes[:, axis, 0] - MARGIN / side) & (
                place <= boxes[:, axis, 1] + MARGIN / side
            )
        return shown.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Altered:
    """Pairs that were compared in full: rows, symmetry, and how well they are explained."""

    i: np.ndarray
    j: np.ndarray
    turn: np.ndarray
    found: Explained


def altered_copies(
    pictures: Pictures,
    rows: np.ndarray,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[int, int, int, np.ndarray, float]]:
    """Yield pairs of altered copies, the surest first.

    Args:
        pictures: All images.
        rows: (M,) those to compare.
        progress: Called with the share of the work that is done.

    Yields:
        Row i, row j, the number of the symmetry that lays picture j upon picture i, the affine map
        (2, 3) after it, and the share of the structure that is explained.
    """
    if len(rows) < 2:
        return
    small = coarsest(pictures.detail, rows)
    i, j, turn = _distinct_pairs(*nearest(*small, lambda share: progress(share / 2)))
    if not len(i):
        return
    comparison = _Comparison(pictures, rows, small)

    batches = [slice(start, start + BATCH) for start in range(0, len(i), BATCH)]

    def compare(number: int) -> Altered:
        batch = batches[number]
        return comparison.of(i[batch], j[batch], turn[batch])

    accepted = []
    for number, part in enumerate(in_threads(compare, len(batches)), 1):
        if isinstance(part, Exception):
            raise part
        for k in np.flatnonzero(part.found.sure).tolist():
            one, other, left = int(rows[part.i[k]]), int(rows[part.j[k]]), part.found.rest[k]
            accepted.append((float(left), one, other, int(part.turn[k]), part.found.maps[k]))
        progress((1 + number / len(batches)) / 2)
    for left, one, other, number, moved in sorted(accepted, key=lambda each: each[:3]):
        yield one, other, number, moved, 1 - left


def named(moved: np.ndarray) -> str:
    """Return what a person calls an affine map (2, 3), or the alteration if nothing was moved."""
    turn = np.degrees(np.arctan2(moved[0, 1] - moved[1, 0], moved[0, 0] + moved[1, 1]))
    zoom = float(np.sqrt(abs(np.linalg.det(moved[:, :2]))))
    shift = float(np.abs(moved[:, 2]).max())
    found = []
    if abs(turn) >= 0.3:
        found.append(f"rotated by {abs(turn):.1f}°")
    if abs(zoom - 1) >= 0.01:
        found.append(f"magnified by {max(zoom, 1 / zoom):.2f}")
    if shift >= 0.01:
        found.append(f"shifted by {100 * shift:.0f} %")
    return ", ".join(found) or "sharpened, blurred, marked, or intensities changed"


def _distinct_pairs(
    found: np.ndarray, symmetry: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each pair once, i below j, with its symmetry."""
    count, kept = found.shape
    i = np.repeat(np.arange(count), kept)
    j, turn = found.ravel(), symmetry.ravel()
    known = j >= 0
    i, j, turn = i[known], j[known], turn[known]
    turns = symmetries(2)
    inverse = np.asarray([turns.index(each.inverse) for each in turns])
    turn = np.where(i < j, turn, inverse[turn])
    i, j = np.minimum(i, j), np.maximum(i, j)
    _, first = np.unique(i * count + j, return_index=True)
    return i[first], j[first], turn[first]


def _laid(pictures: np.ndarray, j: np.ndarray, turn: np.ndarray) -> np.ndarray:
    other = pictures[j].astype(np.float32)
    turns = symmetries(2)
    for number in np.unique(turn):
        chosen = turn == number
        other[chosen] = turns[number].apply(other[chosen])
    return other


class _Comparison:
    """Compares pairs of M pictures from coarse to fine.

    Args:
        pictures: All images.
        rows: (M,) those to compare.
        small: Their pictures of 32 pixels, (M, 32, 32) float32: as they are, and equalised.
    """

    def __init__(
        self, pictures: Pictures, rows: np.ndarray, small: tuple[np.ndarray, np.ndarray]
    ) -> None:
        self._pictures, self._rows, self._small = pictures, rows, small
        self._even = structure(small[EQUALISED], SMOOTH)

    def of(self, i: np.ndarray, j: np.ndarray, turn: np.ndarray) -> Altered:
        """Compare pairs i and j of the M, the other turned by the symmetry of that number."""
        left, maps = self._registered(i, j, turn, AS_IS)
        hidden = np.setdiff1d(np.arange(len(i)), left)
        hidden = hidden[self._evenly_alike(i[hidden], j[hidden], turn[hidden])]
        if len(hidden):
            shown, more = self._registered(i[hidden], j[hidden], turn[hidden], EQUALISED)
            left, maps = np.concatenate([left, hidden[shown]]), np.concatenate([maps, more])
        i, j, turn = i[left], j[left], turn[left]
        if not len(left):
            return Altered(i, j, turn, Explained(maps, *np.zeros((4, 0))))
        one, other = self._rows[i], self._rows[j]
        shown, other_shown = self._pictures.content(one), self._pictures.content(other)
        other_shown, _ = warped(_laid(other_shown, np.arange(len(j)), turn), maps)
        within = (shown > 0.5) & (other_shown > 0.5)
        detail = self._pictures.detail
        laid = _laid(detail, other, turn)
        return Altered(i, j, turn, explained(detail[one].astype(np.float32), laid, maps, within))

    def _registered(
        self, i: np.ndarray, j: np.ndarray, turn: np.ndarray, kind: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return which pairs are likely (their positions) and their maps, leaving off as soon as
        one is hopeless."""
        small, detail, left = self._small[kind], self._pictures.detail[:, kind], np.arange(len(i))
        first, which = np.unique(i, return_inverse=True)
        maps, found = roughly_registered(small[first], _laid(small, j, turn), which)
        for least, side in zip(LIKELY, (*FINER, None), strict=True):
            likely = found > least
            left, maps = left[likely], maps[likely]
            if not len(left) or side is None:
                break
            one = detail[self._rows[i[left]]].astype(np.float32)
            other = _laid(detail, self._rows[j[left]], turn[left])
            while one.shape[1] > side:
                one, other = halved(one), halved(other)
            maps, found = refined(one, other, maps)
        return left, maps

    def _evenly_alike(self, i: np.ndarray, j: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Return which pairs, both equalised, lie upon each other without any registration."""
        likeness: np.ndarray = (self._even[i] * _laid(self._even, j, turn)).sum(axis=(1, 2))
        return likeness > EVENLY_ALIKE
