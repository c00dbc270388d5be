"""Find pairs of small pictures that might be copies, among many, in bounded memory.

Every picture becomes a unit vector of its coarse structure; the dot product of two is their
correlation. Blocks of vectors meet blocks of vectors, in every flip and quarter turn, and only
pairs above a threshold are kept. The threshold is low: what is found here is a candidate, and
:mod:`mritk.audit.evidence` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from mritk.audit.filters import along_axes, gaussian
from mritk.audit.symmetry import symmetries
from mritk.machine.in_threads import blocks_in_threads, made_in_threads


@dataclass(frozen=True)
class Scale:
    """A size of structure: what stands between two Gaussian blurs.

    Attributes:
        fine: Standard deviation of the narrow blur, in pixels of the small picture.
        coarse: That of the wide one.
        pool: The filtered picture is averaged over blocks of this side.
    """

    fine: float
    coarse: float
    pool: int


# Structure of the size of ventricles and lesions, which neither smooth changes of brightness nor
# compression touch; and of the size of contours, in which different heads differ.
COARSE = {2: Scale(2.0, 6.0, 4), 3: Scale(1.0, 3.0, 3)}
FINE = {2: Scale(0.7, 2.0, 2), 3: Scale(0.7, 2.0, 2)}

# Copies with doubled contrast and clipped highlights, the hardest of those that are told apart at
# all, correlate at 0.91 and above here; different patients of the phantom at 0.86 and below. Heads
# that were registered to one space can all be candidates: see PROMISING.
THRESHOLD = 0.88

# Correlation of contours below which no later step would bring two pictures together.
PROMISING = 0.6
PAIRS = 8192

# Sizes of blocks, which bound the memory.
ROWS, COLUMNS = 1024, 8192
TILE, BLOCK = 512, 128

# Coordinates of a first, cheaper comparison, and pictures from which they are learnt.
COORDINATES = 64
SAMPLE = 2000

Candidates = tuple[np.ndarray, np.ndarray, np.ndarray]


def structure(pictures: np.ndarray, scales: Mapping[int, Scale] = COARSE) -> np.ndarray:
    """Return unit vectors of the structure of one size, (N, pooled…) float32, on a grid.

    Args:
        pictures: (N, S, S) or (N, S, S, S) uint8.
        scales: The size of structure, by the number of dimensions.

    Returns:
        Pictures without structure give zeros, which correlate with nothing.
    """
    scale, side, dims = scales[pictures.ndim - 1], pictures.shape[1], pictures.ndim - 1
    pooled = np.empty((len(pictures), *[side // scale.pool] * dims), np.float32)

    def fill(part: slice) -> None:
        pooled[part] = unit_vectors(pooled_band(pictures[part].astype(np.float32), scale))

    blocks_in_threads(fill, len(pictures), BLOCK)
    return pooled


def pooled_band(pictures: np.ndarray, scale: Scale) -> np.ndarray:
    """Return structure of one size, averaged over blocks, of pictures (N, S, …) float32."""
    side = pictures.shape[1]
    means = np.kron(np.eye(side // scale.pool), np.full(scale.pool, 1 / scale.pool))
    narrow, wide = (
        along_axes((means @ gaussian(side, width)).astype(np.float32), pictures)
        for width in (scale.fine, scale.coarse)
    )
    return narrow - wide


def unit_vectors(pooled: np.ndarray) -> np.ndarray:
    """Make ``pooled`` (N, …) float32 vectors of mean 0 and length 1, and return it; without
    structure, of length 0."""
    flat = pooled.reshape(len(pooled), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(norms > 1e-3, norms, np.inf)
    return pooled


def promising(vectors: np.ndarray, i: np.ndarray, j: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Return which pairs agree in their contours well enough to be compared in full, (P,) bool.

    ``vectors`` are what :func:`structure` returned for :data:`FINE`; pairs are rows i and j, and
    the number of the symmetry that lays picture j upon picture i.
    """
    found = np.empty(len(i), bool)
    turns = symmetries(vectors.ndim - 1)
    for number in np.unique(turn):
        rows = np.flatnonzero(turn == number)
        one = vectors[i[rows]].reshape(len(rows), -1).astype(np.float32)
        other = turns[number].apply(vectors[j[rows]]).reshape(len(rows), -1).astype(np.float32)
        found[rows] = np.einsum("nd,nd->n", one, other) > PROMISING
    return found


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
    count = len(vectors)
    turns = symmetries(vectors.ndim - 1)
    shortened = Shortened.fit(vectors)
    flat = vectors.reshape(count, -1)
    short = shortened(flat)
    for top in range(0, count, ROWS):
        rows = np.arange(top, min(top + ROWS, count))
        # <a, g b> = <g⁻¹ a, b>: only the smaller side has to be turned.
        turned = [
            np.ascontiguousarray(turn.inverse.apply(vectors[rows])).reshape(len(rows), -1)
            for turn in turns
        ]
        turned_short = [shortened(each) for each in turned]
        for left in range(top, count, COLUMNS):
            others = slice(left, left + COLUMNS)
            i, j, turn = _above(turned, turned_short, flat[others], short[others])
            i, j = i + top, j + left
            keep = j > i
            if keep.any():
                yield i[keep], j[keep], turn[keep]
        progress(1 - ((count - 1 - rows[-1]) / count) ** 2)


@dataclass(frozen=True, eq=False)
class Shortened:
    """Unit vectors in the coordinates in which most of their length lies.

    The last coordinate is the length of what is left out. So the product of two shortened vectors
    is never below that of the vectors themselves (Cauchy and Schwarz), and what it excludes is
    excluded for certain.
    """

    basis: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> Shortened:
        """Return the principal directions of a sample of ``vectors``, in every turn."""
        some = vectors[:: max(1, len(vectors) // SAMPLE)]
        turned = [turn.apply(some).reshape(len(some), -1) for turn in symmetries(some.ndim - 1)]
        second_moment = sum(each.T @ each for each in turned)
        return cls(np.linalg.eigh(second_moment)[1][:, -COORDINATES:].astype(np.float32))

    def kept(self, flat: np.ndarray) -> np.ndarray:
        """Return (N, coordinates) float32 for (N, D), without what is left out."""
        coordinates: np.ndarray = flat @ self.basis
        return coordinates

    def __call__(self, flat: np.ndarray) -> np.ndarray:
        """Return (N, coordinates + 1) float32 for (N, D)."""
        kept = self.kept(flat)
        length = np.square(flat).sum(axis=1) - np.square(kept).sum(axis=1)
        return np.column_stack([kept, np.sqrt(np.maximum(length, 0))])


def _above(
    turned: list[np.ndarray], turned_short: list[np.ndarray], others: np.ndarray, short: np.ndarray
) -> Candidates:
    """Return the pairs above the threshold, each with its best turn, best pairs first."""

    def look(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = turned[number]
        place = _places_above(turned_short[number], short)
        if len(place) > PAIRS:
            correlation = (rows @ others.T).ravel()[place]
        else:
            row, column = np.divmod(place, len(others))
            correlation = np.einsum("nd,nd->n", rows[row], others[column])
        enough = correlation > THRESHOLD
        return correlation[enough], place[enough], np.full(enough.sum(), number, np.int16)

    looked = made_in_threads(look, len(turned))
    score, place, turn = map(np.concatenate, zip(*looked, strict=True))
    best_first = np.argsort(-score, kind="stable")
    place, turn = place[best_first], turn[best_first]
    _, first = np.unique(place, return_index=True)
    first.sort()
    row, column = np.divmod(place[first], len(others))
    return row, column, turn[first]


def _places_above(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return where the products of ``rows`` with ``others``, laid out in a row, exceed the
    threshold; by blocks that stay in the cache of a core."""
    places = []
    for top, left in product(range(0, len(rows), TILE), range(0, len(others), TILE)):
        tile = rows[top : top + TILE] @ others[left : left + TILE].T
        row, column = np.divmod(np.flatnonzero(tile > THRESHOLD - 1e-5), tile.shape[1])
        places.append((row + top) * len(others) + column + left)
    return np.sort(np.concatenate(places))
