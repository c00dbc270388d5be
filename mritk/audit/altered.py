"""Find copies that were altered: sharpened, blurred, equalised, turned a little, shifted, cropped.

Few candidates of each picture are registered with it and explained by it (see
:mod:`mritk.audit.explain`). A pair is accepted if so much is explained as no neighbouring slice
reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mritk.audit.explain import AS_IS, EQUALISED, explained
from mritk.audit.nearest import coarsest, nearest
from mritk.audit.queries import SMOOTH
from mritk.audit.register import (
    coarse_structure,
    grid,
    halved,
    identities,
    refined,
    roughly_registered,
    warped,
)
from mritk.audit.search import ROWS, structure
from mritk.audit.starts import Starts
from mritk.audit.symmetry import turn_each
from mritk.machine.in_threads import made_in_threads

# Correlations of locally normalised structure, after registration at 32, 64 and 128 pixels, below
# which nothing would explain the one by the other.
LIKELY = (0.88, 0.87, 0.86)
FINER = (64, 128)

# Equalising a picture amplifies the noise of its background, so that it may not be likely as it is.
# Equalised both, copies correlate at 0.9999 and above in their coarsest structure; pairs above this
# are registered so if they are not likely as they are.
EVENLY_ALIKE = 0.99

BATCH = 128


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
    starts = nearest(*small, lambda share: progress(share / 2))
    if not len(starts):
        return
    comparison = _Comparison(pictures, rows, small)

    def compare(number: int) -> Starts:
        return comparison.copies(starts[number * BATCH : (number + 1) * BATCH])

    batches = -(-len(starts) // BATCH)
    told = made_in_threads(compare, batches, lambda share: progress((1 + share) / 2))
    found = Starts.of(told)
    found = replace(found, i=rows[found.i], j=rows[found.j]).in_order()
    for k in np.lexsort((found.j, found.i, -found.score)).tolist():
        one, other, number = int(found.i[k]), int(found.j[k]), int(found.turn[k])
        yield one, other, number, found.maps[k], float(found.score[k])


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


def _laid(pictures: np.ndarray, j: np.ndarray, turn: np.ndarray) -> np.ndarray:
    other = pictures[j].astype(np.float32)
    turn_each(other, turn, 2)
    return other


def _reduced(pictures: np.ndarray, side: int) -> np.ndarray:
    """Return pictures of a multiple of ``side`` at this side, float32."""
    reduced: np.ndarray = pictures.astype(np.float32)
    while reduced.shape[1] > side:
        reduced = halved(reduced)
    return reduced


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
        self._pictures, self._rows = pictures, rows
        self._coarse = [np.empty_like(each) for each in small]
        for coarse, each in zip(self._coarse, small, strict=True):
            for start in range(0, len(each), ROWS):
                part = slice(start, start + ROWS)
                coarse[part] = coarse_structure(each[part])
        self._even = structure(small[EQUALISED], SMOOTH)

    def copies(self, starts: Starts) -> Starts:
        """Return those of some pairs of the M that are copies, with the maps that lay them upon
        each other, and the share of the structure that is explained as their score."""
        left, maps = self._registered(starts, AS_IS)
        hidden = np.setdiff1d(np.arange(len(starts)), left)
        hidden = hidden[self._evenly_alike(starts[hidden])]
        if len(hidden):
            still = replace(starts[hidden], maps=identities(len(hidden)))
            shown, more = self._registered(still, EQUALISED)
            left, maps = np.concatenate([left, hidden[shown]]), np.concatenate([maps, more])
        starts = starts[left]
        if not len(left):
            return starts
        one, other, turn = self._rows[starts.i], self._rows[starts.j], starts.turn
        shown, other_shown = self._pictures.content(one), self._pictures.content(other)
        other_shown, _ = warped(_laid(other_shown, np.arange(len(left)), turn), maps)
        within = (shown > 0.5) & (other_shown > 0.5)
        detail = self._pictures.detail
        laid = _laid(detail, other, turn)
        found = explained(detail[one].astype(np.float32), laid, maps, within)
        return replace(starts, maps=found.maps, score=1 - found.rest)[found.sure]

    def _registered(self, starts: Starts, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which pairs are likely (their positions) and their maps, leaving off as soon as
        one is hopeless."""
        coarse, detail = self._coarse[kind], self._pictures.detail[:, kind]
        left = np.arange(len(starts))
        first, which = np.unique(starts.i, return_inverse=True)
        moving = _laid(coarse, starts.j, starts.turn)
        maps, found = roughly_registered(coarse[first], moving, starts.maps, which)
        for least, side in zip(LIKELY, (*FINER, None), strict=True):
            likely = found > least
            left, maps = left[likely], maps[likely]
            if not len(left) or side is None:
                break
            first, which = np.unique(starts.i[left], return_inverse=True)
            one = _reduced(detail[self._rows[first]], side)
            other = _reduced(detail[self._rows[starts.j[left]]], side)
            turn_each(other, starts.turn[left], 2)
            maps, found = refined(one, other, maps, which)
        return left, maps

    def _evenly_alike(self, starts: Starts) -> np.ndarray:
        """Return which pairs, both equalised, lie upon each other without any registration."""
        other = _laid(self._even, starts.j, starts.turn)
        likeness: np.ndarray = (self._even[starts.i] * other).sum(axis=(1, 2))
        return likeness > EVENLY_ALIKE
