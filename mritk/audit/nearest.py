"""For every picture, the few others that resemble it most, also after a small turn or a crop.

:mod:`mritk.audit.search` finds what lies exactly upon each other. Here the coarsest structure is
compared, which a turn by 2° hardly changes, in the ways of :mod:`mritk.audit.queries`. What is
found is only worth a closer look, which starts from where it was found.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from mritk.audit.explain import AS_IS, EQUALISED
from mritk.audit.filters import along_axes
from mritk.audit.queries import Query, Way, seen_by, ways
from mritk.audit.register import COARSEST
from mritk.audit.search import Shortened
from mritk.audit.starts import Starts
from mritk.machine.in_threads import made_in_threads

# How many others each picture is compared with in each way, so that a stack of slices does not
# crowd out those that were turned; and the correlation that they have at least.
NEAREST = 8
MINIMUM = 0.7

# Pictures of a block, which one thread compares with all, and so many of these at once: products of
# 1 MB stay in the cache of a core while the best of them are kept.
BLOCK, ACROSS = 256, 1024


def nearest(
    small: np.ndarray,
    even: np.ndarray,
    progress: Callable[[float], None] = lambda share: None,
) -> Starts:
    """Return for every picture the others that it resembles most, each pair once.

    Args:
        small: (N, 32, 32) float32, as they are.
        even: The same, equalised.
        progress: Called with the share of the work that is done.
    """
    count = len(small)
    prepared: list[tuple[Way, np.ndarray]] = []
    for way in ways(small, even):
        vectors = way.vectors()
        if not prepared:
            shortened = Shortened.fit(vectors)
        prepared.append((way, shortened.kept(vectors.reshape(count, -1))))
        for move in way.moves:
            seen_by(move)  # computed once, before there are several threads

    def look(block: int) -> Starts:
        rows = np.arange(block * BLOCK, min((block + 1) * BLOCK, count))
        found = []
        for way, flat in prepared:
            queries = list(way.queries(rows))
            vectors = [shortened.kept(each.vectors.reshape(len(rows), -1)) for each in queries]
            found.append(_found(way, queries, rows, *_best(vectors, flat, rows)))
        return Starts.of(found)

    blocks = made_in_threads(look, -(-count // BLOCK), progress)
    return Starts.of(blocks).widest_first().distinct()


def _best(
    queries: list[np.ndarray], flat: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the columns of ``flat`` closest to any query of each row, the correlation, and which
    of the queries it was."""
    best = np.full((len(rows), len(flat)), -1, np.float32)
    for left in range(0, len(flat), ACROSS):
        part = slice(left, left + ACROSS)
        for query in queries:
            np.maximum(best[:, part], query @ flat[part].T, out=best[:, part])
    best[np.arange(len(rows)), rows] = -1
    kept = min(NEAREST, len(flat) - 1)
    columns = np.argpartition(-best, kept - 1, axis=1)[:, :kept]
    score = np.take_along_axis(best, columns, axis=1)
    # Which of the queries it was is found again for the few that are kept.
    each = np.stack([np.einsum("nd,nkd->nk", query, flat[columns]) for query in queries])
    return columns, score, each.argmax(axis=0)


def _found(
    way: Way,
    queries: list[Query],
    rows: np.ndarray,
    columns: np.ndarray,
    score: np.ndarray,
    which: np.ndarray,
) -> Starts:
    """Return what was found for ``rows``, from where to lay it upon them."""
    enough = score > MINIMUM
    i, j = np.broadcast_to(rows[:, None], columns.shape)[enough], columns[enough]
    score, which = score[enough], which[enough]
    turn, maps = np.zeros(len(i), np.intp), np.zeros((len(i), 2, 3))
    for number, query in enumerate(queries):
        by = which == number
        turn[by] = query.turn
        maps[by] = way.start(i[by], j[by], query.turn, query.move)
    return Starts(i, j, turn, maps, score)


def coarsest(detail: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 32 pixels, (M, 32, 32) float32: as they are, and equalised.

    Args:
        detail: (N, 3, S, S) uint8, S a multiple of 32, the details of signatures.
        rows: (M,) those that are wanted.
    """
    small = np.empty((2, len(rows), COARSEST, COARSEST), np.float32)
    cells = detail.shape[-1] // COARSEST
    means = np.kron(np.eye(COARSEST), np.full(cells, 1 / cells)).astype(np.float32)
    for kind, start in product((AS_IS, EQUALISED), range(0, len(rows), BLOCK)):
        part = detail[rows[start : start + BLOCK], kind].astype(np.float32)
        small[kind, start : start + BLOCK] = along_axes(means, part)
    return small[AS_IS], small[EQUALISED]
