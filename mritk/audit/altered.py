"""Find copies that were altered: sharpened, blurred, equalised, turned a little, shifted, cropped.

Few candidates of each picture are registered with it and explained by it (see
:mod:`mritk.audit.explain`). A pair is accepted for one of two reasons: so much is explained as no
neighbouring slice reaches; or much is, and both pictures are far from every other that resembles
them. In a stack of thin slices the second does not hold, for the next slice but one is there too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from mritk.audit.explain import Explained, explained, sharpness
from mritk.audit.nearest import nearest
from mritk.audit.register import (
    COARSEST,
    halved,
    refined,
    roughly_registered,
    warped,
)
from mritk.audit.symmetry import symmetries
from mritk.data.in_threads import in_threads

# Correlations of locally normalised structure, after registration at 32, 64 and 128 pixels, below
# which nothing would explain the one by the other.
LIKELY = (0.8, 0.8, 0.85)

# Share left unexplained, and agreement at the worst place, of copies whatever else there is.
# Neighbouring slices, 1 mm apart, of the MNI152 average leave 0.003 and more, also when both are
# blurred or equalised.
SURE = 0.0022
LOCAL = 0.96
# Where both pictures are blurred, neighbours differ less, and so must copies: slices of the MNI152
# average have a sharpness of 0.16 and leave 0.0066, blurred by 2 pixels 0.097 and 0.0031.
SHARP = 0.16
# Slices that show little, such as the caps of a head, hardly differ from their neighbours.
ENOUGH_CONTENT = 0.25
SURE_SMALL = 0.0007

# The second reason: what may be left unexplained, and how many times as much must be of every other
# picture. It grows with the square of the distance between slices: four times at the next but one.
DISTINCT = 0.025
TIMES = 6.0
# The closest of all need less, the less the closer they are.
CLOSEST, PER_TIMES = 0.007, 0.003
LEAST_TIMES = 1.5
DISTINCT_LOCAL = 0.85
# Left unexplained of pictures that did not correlate well enough to be compared.
UNLIKE = 0.08

BATCH = 64


@dataclass(frozen=True, eq=False)
class Altered:
    """Candidates that were compared in full: rows, symmetry, map, how well they are explained, and
    the sharpness of the sharper of the two."""

    i: np.ndarray
    j: np.ndarray
    turn: np.ndarray
    maps: np.ndarray
    clipped: np.ndarray
    pieces: np.ndarray
    local: np.ndarray
    sharpness: np.ndarray

    @property
    def rest(self) -> np.ndarray:
        """(P,) the share that the better model leaves unexplained."""
        rest: np.ndarray = 1 - np.maximum(self.clipped, self.pieces)
        return rest


def altered_copies(
    detail: np.ndarray,
    coverage: np.ndarray,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[int, int, int, np.ndarray, float]]:
    """Yield pairs of altered copies, the surest first.

    Args:
        detail: (N, 128, 128) uint8, whole frames.
        coverage: (N,) share of the frame that the content covers.
        progress: Called with the share of the work that is done.

    Yields:
        Row i, row j, the number of the symmetry that lays picture j upon picture i, the affine map
        (2, 3) after it, and the share of the structure that is explained.
    """
    if len(detail) < 2:
        return
    rows, found, symmetry = nearest(detail, lambda share: progress(share / 2))
    pairs = _distinct_pairs(rows, found, symmetry)
    if not len(pairs[0]):
        return
    compared = _compared(detail, *pairs, lambda share: progress((1 + share) / 2))
    covered = np.minimum(coverage[compared.i], coverage[compared.j]) >= ENOUGH_CONTENT
    blurred = np.minimum(compared.sharpness / SHARP, 1) ** 1.5
    sure = compared.rest <= np.where(covered, SURE, SURE_SMALL) * blurred
    sure &= compared.local >= LOCAL
    accepted = sure | (covered & _stands_alone(compared, found))
    order = np.argsort(compared.rest, kind="stable")
    for k in order[accepted[order]].tolist():
        yield (
            *(int(compared.i[k]), int(compared.j[k]), int(compared.turn[k])),
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
    rows: np.ndarray, found: np.ndarray, symmetry: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each pair once, i below j, with its symmetry."""
    i = np.repeat(rows, found.shape[1])
    j, turn = found.ravel(), symmetry.ravel()
    known = j >= 0
    i, j, turn = i[known], j[known], turn[known]
    turns = symmetries(2)
    inverse = np.asarray([turns.index(each.inverse) for each in turns])
    turn = np.where(i < j, turn, inverse[turn])
    i, j = np.minimum(i, j), np.maximum(i, j)
    _, first = np.unique(i * len(rows) + j, return_index=True)
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
    i: np.ndarray,
    j: np.ndarray,
    turn: np.ndarray,
    progress: Callable[[float], None],
) -> Altered:
    """Compare pairs, leaving off as soon as one is hopeless."""
    starts = range(0, len(i), BATCH)
    parts = []
    for batch in in_threads(lambda k: _batch(detail, i, j, turn, starts[k]), len(starts)):
        if isinstance(batch, Exception):
            raise batch
        parts.append(batch)
        progress(len(parts) / len(starts))
    names = [field.name for field in fields(Altered)]
    return Altered(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _batch(
    detail: np.ndarray, i: np.ndarray, j: np.ndarray, turn: np.ndarray, start: int
) -> Altered:
    kept = np.arange(start, min(start + BATCH, len(i)))
    one, other = detail[i[kept]].astype(np.float32), _laid(detail, j[kept], turn[kept])
    levels = [(one, other)]
    while levels[-1][0].shape[1] > COARSEST:
        levels.append((halved(levels[-1][0]), halved(levels[-1][1])))
    here = np.arange(len(kept))
    maps, found = roughly_registered(*levels.pop())
    for least in LIKELY:
        likely = np.flatnonzero(found > least)
        here, maps = here[likely], maps[likely]
        if not len(here):
            break
        if levels:
            fixed, moving = levels.pop()
            maps, found = refined(fixed[here], moving[here], maps)
    if len(here):
        result = explained(one[here], *warped(other[here], maps))
    else:
        result = Explained(*(np.zeros(0, np.float32),) * 3)
    sharper = np.maximum(sharpness(one[here]), sharpness(other[here]))
    rows = kept[here]
    return Altered(i[rows], j[rows], turn[rows], maps, **vars(result), sharpness=sharper)


def _stands_alone(compared: Altered, found: np.ndarray) -> np.ndarray:
    """Return which pairs are close enough, and both far from all others, (P,) bool."""
    rest = compared.rest
    at: dict[int, list[int]] = defaultdict(list)
    for k in np.argsort(rest, kind="stable").tolist():
        at[int(compared.i[k])].append(k)
        at[int(compared.j[k])].append(k)
    votes = np.zeros(len(rest), int)
    for row, pairs in at.items():
        # With all of its nearest compared in full, there may be others that are as close.
        known = (found[row] >= 0).sum()
        others = [UNLIKE] if known < found.shape[1] or len(pairs) < known else []
        left = [float(rest[k]) for k in pairs] + others
        last = 0
        for place, (one, next_one) in enumerate(pairwise(left), start=1):
            times = TIMES
            if place == 1 and one <= CLOSEST:
                times = max(LEAST_TIMES, one / PER_TIMES)
            if one <= DISTINCT and next_one >= times * one:
                last = place
        votes[pairs[:last]] += 1
    alone: np.ndarray = (votes == 2) & (compared.local >= DISTINCT_LOCAL)
    return alone
