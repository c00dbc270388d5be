"""Find pairs of small pictures that might be copies, among many, in bounded memory.

Every picture becomes a unit vector of its coarse structure; the dot product of two is their
correlation. Blocks of vectors meet blocks of vectors, in every flip and quarter turn, and only pairs
above a threshold are kept. The threshold is low: what is found here is a candidate, and
:mod:`mritk.audit.evidence` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mritk.audit.bands import BandPass
from mritk.audit.symmetry import symmetries

# Blurred below and above these widths (in pixels of the small picture): structure of the size of
# ventricles and lesions, which neither smooth changes of brightness nor compression touch.
WIDTHS = {2: (2.0, 6.0), 3: (1.0, 3.0)}
# The filtered picture is averaged over blocks of this side.
POOL = {2: 4, 3: 3}

# Copies with doubled contrast and clipped highlights, the hardest of those that are told apart at
# all, correlate at 0.91 and above here; different patients of the phantom at 0.86 and below.
THRESHOLD = 0.88

ROWS, COLUMNS = 512, 4096

Candidates = tuple[np.ndarray, np.ndarray, np.ndarray]


def structure(pictures: np.ndarray) -> np.ndarray:
    """Return unit vectors of coarse structure, (N, pooled…) float32, still laid out on a grid.

    Args:
        pictures: (N, S, S) or (N, S, S, S) uint8.

    Returns:
        Pictures without structure give zeros, which correlate with nothing.
    """
    dims = pictures.ndim - 1
    side, pool = pictures.shape[1], POOL[dims]
    band = BandPass(side, *WIDTHS[dims])
    pooled = np.empty((len(pictures), *[side // pool] * dims), np.float32)
    for start in range(0, len(pictures), ROWS):
        part = band(pictures[start : start + ROWS].astype(np.float32))
        cells = [n for _ in range(dims) for n in (side // pool, pool)]
        blocks = part.reshape(len(part), *cells)
        pooled[start : start + ROWS] = blocks.mean(axis=tuple(range(2, 2 * dims + 1, 2)))
    flat = pooled.reshape(len(pooled), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(norms > 1e-3, norms, np.inf)
    return pooled


def candidates(
    vectors: np.ndarray, progress: Callable[[float], None] = lambda share: None
) -> Iterator[Candidates]:
    """Yield candidate pairs, block by block, each pair at most once, the likeliest first.

    Args:
        vectors: What :func:`structure` returned.
        progress: Called with the share of the work that is done, from 0 to 1.

    Yields:
        Rows i, rows j with j > i, and numbers of the symmetry that lays picture j upon picture i.
    """
    flat = vectors.reshape(len(vectors), -1)
    count = len(flat)
    turns = symmetries(vectors.ndim - 1)
    for top in range(0, count, ROWS):
        rows = slice(top, min(top + ROWS, count))
        # <a, g b> = <g⁻¹ a, b>: turning the smaller side is cheaper, and gives g of b.
        turned = [
            inverse(turn.apply(vectors[rows]).reshape(rows.stop - rows.start, -1))
            for inverse, turn in ((np.ascontiguousarray, turn) for turn in turns)
        ]
        for left in range(top, count, COLUMNS):
            others = flat[left : left + COLUMNS]
            found = _above(turned, others)
            i, j, turn = found[0] + top, found[1] + left, found[2]
            keep = j > i
            if keep.any():
                yield i[keep], j[keep], turn[keep]
        done = rows.stop
        progress(1 - ((count - done) / count) ** 2)


def _above(turned: list[np.ndarray], others: np.ndarray) -> Candidates:
    """Return the pairs above the threshold, each with its best turn, best pairs first."""
    scores, places, turns = [], [], []
    for number, rows in enumerate(turned):
        correlation = (rows @ others.T).ravel()
        place = np.flatnonzero(correlation > THRESHOLD)
        scores.append(correlation[place])
        places.append(place)
        turns.append(np.full(len(place), number, np.int16))
    score, place, turn = map(np.concatenate, (scores, places, turns))
    best_first = np.argsort(-score, kind="stable")
    place, turn = place[best_first], turn[best_first]
    _, first = np.unique(place, return_index=True)
    first.sort()
    row, column = np.divmod(place[first], len(others))
    return row, column, turn[first]
