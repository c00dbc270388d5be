"""Find copies that were altered: sharpened, blurred, equalised, turned a little, shifted, cropped.

Few candidates of each picture are registered with it and explained by it (see
:mod:`mritk.audit.explain`). A pair is accepted if so much is explained as no neighbouring slice
reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mritk.audit.explain import AS_IS, Explained, explained, sure
from mritk.audit.nearest import coarsest, nearest
from mritk.audit.register import halved, refined, roughly_registered
from mritk.audit.symmetry import symmetries
from mritk.data.in_threads import in_threads

# Correlations of locally normalised structure, after registration at 32, 64 and 128 pixels, below
# which nothing would explain the one by the other.
LIKELY = (0.88, 0.85, 0.85)
FINER = (64, 128)

BATCH = 64


@dataclass(frozen=True, eq=False)
class Altered:
    """Pairs that were compared in full: rows, symmetry, map, and how well they are explained."""

    i: np.ndarray
    j: np.ndarray
    turn: np.ndarray
    maps: np.ndarray
    rest: np.ndarray
    local: np.ndarray
    sharpness: np.ndarray

    @property
    def accepted(self) -> np.ndarray:
        """(P,) bool, which are copies."""
        return sure(self.rest, self.sharpness, self.local)


def altered_copies(
    detail: np.ndarray,
    rows: np.ndarray,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[int, int, int, np.ndarray, float]]:
    """Yield pairs of altered copies, the surest first.

    Args:
        detail: (N, 3, 128, 128) uint8, whole frames as they are, equalised, and with their edges
            enhanced.
        rows: (M,) those to compare.
        progress: Called with the share of the work that is done.

    Yields:
        Row i, row j, the number of the symmetry that lays picture j upon picture i, the affine map
        (2, 3) after it, and the share of the structure that is explained.
    """
    if len(rows) < 2:
        return
    small, evened = coarsest(detail, rows)
    i, j, turn = _distinct_pairs(*nearest(evened, lambda share: progress(share / 2)))
    if not len(i):
        return

    def compare(batch: slice) -> Altered:
        return _compared(detail, rows, small, i[batch], j[batch], turn[batch])

    batches = [slice(start, start + BATCH) for start in range(0, len(i), BATCH)]
    parts = []
    for part in in_threads(lambda number: compare(batches[number]), len(batches)):
        if isinstance(part, Exception):
            raise part
        parts.append(part)
        progress((1 + len(parts) / len(batches)) / 2)
    compared = Altered(
        *map(np.concatenate, zip(*(vars(part).values() for part in parts), strict=True))
    )
    order = np.argsort(compared.rest, kind="stable")
    for k in order[compared.accepted[order]].tolist():
        yield (
            *(int(rows[compared.i[k]]), int(rows[compared.j[k]]), int(compared.turn[k])),
            compared.maps[k],
            float(1 - compared.rest[k]),
        )


def named(moved: np.ndarray) -> str:
    """Return what a person calls an affine map (2, 3), or the alteration if nothing was moved."""
    turn = np.degrees(np.arctan2(moved[0, 1] - moved[1, 0], moved[0, 0] + moved[1, 1]))
    zoom = float(np.sqrt(abs(np.linalg.det(moved[:, :2]))))
    shift = float(np.abs(moved[:, 2]).max())
    found = []
    if abs(turn) >= 0.3:
        found.append(f"turned by {abs(turn):.1f}°")
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


def _compared(
    detail: np.ndarray,
    rows: np.ndarray,
    small: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    turn: np.ndarray,
) -> Altered:
    """Compare pairs of ``rows`` from coarse to fine, leaving off as soon as one is hopeless."""
    maps, found = roughly_registered(small[i], _laid(small, j, turn))
    for least, side in zip(LIKELY, (*FINER, None), strict=True):
        likely = found > least
        i, j, turn, maps = i[likely], j[likely], turn[likely], maps[likely]
        if not len(i) or side is None:
            break
        one, other = (
            detail[rows[i], AS_IS].astype(np.float32),
            _laid(detail[:, AS_IS], rows[j], turn),
        )
        while one.shape[1] > side:
            one, other = halved(one), halved(other)
        maps, found = refined(one, other, maps)
    result = Explained(maps, *np.zeros((3, 0)))
    if len(i):
        result = explained(detail[rows[i]].astype(np.float32), _laid(detail, rows[j], turn), maps)
    return Altered(i, j, turn, **vars(result))
