"""For every picture, the few others that resemble it most, also after a small turn or a crop.

:mod:`mritk.audit.search` finds what lies exactly upon each other. Here the coarsest structure is
compared, which a turn by 2° hardly changes, and each picture also meets the others with what they
show in the middle, turned by a few degrees and magnified. What is found is only worth a closer
look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from mritk.audit.explain import AS_IS, EQUALISED
from mritk.audit.register import COARSEST, centres, halved, warped
from mritk.audit.search import ROWS, Scale, Shortened, structure
from mritk.audit.symmetry import Symmetry, symmetries
from mritk.machine.in_threads import made_in_threads

# How many others each picture is compared with as it is, and as many centred, turned and magnified,
# so that a stack of slices does not crowd those out; and the correlation that they have at least.
NEAREST = 8
MINIMUM = 0.7

# Pictures of a block, which one thread compares with all, and so many of these at once: products of
# 2 MB stay in the cache of a core while the best of them are kept.
BLOCK, ACROSS = 256, 2048

# Structure of an eighth of the frame, of pictures of 32 pixels.
SMOOTH = {2: Scale(1.5, 4.5, 2)}

# Turns in degrees and magnifications in which a picture also meets the others; crops of 8 % on
# every side magnify by 1.19. They are tried upright and mirrored, the quarter turns are not.
ANGLES, ZOOMS = (-4.0, 0.0, 4.0), (1.0, 1.13)
MIRRORED = ((), (1,))


Query = tuple[int, np.ndarray]


def nearest(
    small: np.ndarray,
    even: np.ndarray,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return for every picture the others that it resembles most.

    As they are, a blurred copy is more like its original than its neighbours, equalised only where
    pictures are half equalised, the mean of both; so each is looked for in one of the two ways.

    Args:
        small: (N, 32, 32) float32, as they are.
        even: The same, equalised.
        progress: Called with the share of the work that is done.

    Returns:
        (N, K) rows j of the others most similar to each i (-1: none is similar), and (N, K) numbers
        of the symmetry that lays picture j upon picture i.
    """
    count, evened = len(small), (small + even) / 2
    turns = symmetries(2)
    plain = structure(small, SMOOTH)
    shortened = Shortened.fit(plain)
    centred = structure(_centred(evened, np.eye(2)), SMOOTH)
    ways = [
        (way, pictures, shortened(vectors.reshape(count, -1))[:, :-1])
        for way, pictures, vectors in ((_as_they_are, small, plain), (_moved, evened, centred))
    ]

    def look(block: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.arange(block * BLOCK, min((block + 1) * BLOCK, count))
        halves = []
        for way, pictures, flat in ways:
            queries = [(n, shortened(turned)[:, :-1]) for n, turned in way(pictures[rows], turns)]
            halves.append(_best(queries, flat, rows))
        columns, numbers = (np.concatenate(each, axis=1) for each in zip(*halves, strict=True))
        return columns, numbers

    blocks = made_in_threads(look, -(-count // BLOCK), progress)
    found, symmetry = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return found, symmetry


def _best(
    queries: list[Query], flat: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of ``flat`` closest to any query of each row, and the query's symmetry."""
    best = np.full((len(rows), len(flat)), -1, np.float32)
    for left in range(0, len(flat), ACROSS):
        part = slice(left, left + ACROSS)
        for _, query in queries:
            np.maximum(best[:, part], query @ flat[part].T, out=best[:, part])
    best[np.arange(len(rows)), rows] = -1
    kept = min(NEAREST, len(flat) - 1)
    columns = np.argpartition(-best, kept - 1, axis=1)[:, :kept]
    score = np.take_along_axis(best, columns, axis=1)
    # Which of the queries it was is found again for the few that are kept.
    each = np.stack([np.einsum("nd,nkd->nk", query, flat[columns]) for _, query in queries])
    numbers = np.asarray([number for number, _ in queries], np.intp)[each.argmax(axis=0)]
    columns = np.where(score > MINIMUM, columns, -1)
    missing = ((0, 0), (0, NEAREST - kept))
    return np.pad(columns, missing, constant_values=-1), np.pad(numbers, missing)


def coarsest(detail: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 32 pixels, (M, 32, 32) float32: as they are, and equalised.

    Args:
        detail: (N, 3, S, S) uint8, S a multiple of 32, the details of signatures.
        rows: (M,) those that are wanted.
    """
    small = np.empty((2, len(rows), COARSEST, COARSEST), np.float32)
    for kind, start in product((AS_IS, EQUALISED), range(0, len(rows), ROWS)):
        part = detail[rows[start : start + ROWS], kind].astype(np.float32)
        while part.shape[1] > COARSEST:
            part = halved(part)
        small[kind, start : start + ROWS] = part
    return small[AS_IS], small[EQUALISED]


def _as_they_are(small: np.ndarray, turns: tuple[Symmetry, ...]) -> Iterator[Query]:
    """Yield the vectors of pictures in every symmetry, with the number of the one that lays the
    *other* picture upon this one."""
    vectors = structure(small, SMOOTH)
    for number, turn in enumerate(turns):
        yield number, turn.inverse.apply(vectors).reshape(len(small), -1)


def _moved(small: np.ndarray, turns: tuple[Symmetry, ...]) -> Iterator[Query]:
    """Yield those of pictures that are centred, turned and magnified."""
    for angle, zoom in product(ANGLES, ZOOMS):
        c, s = np.cos(np.radians(angle)) / zoom, np.sin(np.radians(angle)) / zoom
        vectors = structure(_centred(small, np.array([[c, -s], [s, c]])), SMOOTH)
        for number, turn in enumerate(turns):
            if turn.order == (0, 1) and turn.flipped in MIRRORED:
                yield number, turn.inverse.apply(vectors).reshape(len(small), -1)


def _centred(small: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Return pictures with what they show in the middle, turned by a matrix (2, 2) about it."""
    maps = np.concatenate([np.tile(turn, (len(small), 1, 1)), centres(small)[..., None]], axis=2)
    return warped(small, maps)[0]
