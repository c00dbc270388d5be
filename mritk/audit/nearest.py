"""For every picture, the few others that resemble it most, also after a small turn or a crop.

:mod:`mritk.audit.search` finds what lies exactly upon each other. Here the coarsest structure is
compared, which a turn by 2° hardly changes, in the ways of :mod:`mritk.audit.queries`. What is
found is only worth a closer look, which starts from where it was found.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mritk.audit.explain import AS_IS, EQUALISED
from mritk.audit.filters import along_axes
from mritk.audit.queries import Query, Way, seen_by, ways
from mritk.audit.register import COARSEST
from mritk.audit.search import Shortened
from mritk.audit.starts import Starts
from mritk.machine.in_threads import blocks_in_threads, made_in_threads

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
            place, column, score, by = _best(vectors, flat, rows)
            found.append(_starts(way, queries, rows[place], column, score, by))
        return Starts.of(found)

    blocks = made_in_threads(look, -(-count // BLOCK), progress)
    return Starts.of(blocks).widest_first().distinct()


def _best(
    queries: list[np.ndarray], flat: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what resembles any query of ``rows`` most: positions in ``rows``, columns of ``flat``,
    correlations, and which of the queries it was."""
    place, column, score = np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
    least = np.full(len(rows), MINIMUM, np.float32)
    for left in range(0, len(flat), ACROSS):
        part = flat[left : left + ACROSS].T
        best = queries[0] @ part
        for query in queries[1:]:
            np.maximum(best, query @ part, out=best)
        own = np.flatnonzero((rows >= left) & (rows < left + ACROSS))
        best[own, rows[own] - left] = -1
        if not left and best.shape[1] > NEAREST:  # else all of the first would have to be sorted
            least = np.maximum(least, np.partition(best, -NEAREST, axis=1)[:, -NEAREST])
        row, found = np.divmod(np.flatnonzero(best >= least[:, None]), best.shape[1])
        place, column = np.append(place, row), np.append(column, found + left)
        score = np.append(score, best[row, found])
        # Of each row the nearest stay, the last of which the next have to surpass.
        order = np.lexsort((column, -score, place))
        first = np.searchsorted(place[order], place[order])
        order = order[np.arange(len(order)) - first < NEAREST]
        place, column, score = place[order], column[order], score[order]
        counts = np.bincount(place, minlength=len(rows))
        full = counts == NEAREST
        least[full] = score[np.cumsum(counts)[full] - 1]
    # Which of the queries it was is found again for the few that are kept.
    each = np.stack([np.einsum("nd,nd->n", query[place], flat[column]) for query in queries])
    return place, column, score, each.argmax(axis=0)


def _starts(
    way: Way, queries: list[Query], i: np.ndarray, j: np.ndarray, score: np.ndarray, by: np.ndarray
) -> Starts:
    """Return pairs from where the query of number ``by`` (P,) lays picture j upon picture i."""
    turn, maps = np.zeros(len(i), np.intp), np.zeros((len(i), 2, 3))
    for number, query in enumerate(queries):
        rows = np.flatnonzero(by == number)
        turn[rows] = query.turn
        maps[rows] = way.start(i[rows], j[rows], query.turn, query.move)
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

    def shrink(part: slice) -> None:
        for kind in (AS_IS, EQUALISED):
            small[kind, part] = along_axes(means, detail[rows[part], kind].astype(np.float32))

    blocks_in_threads(shrink, len(rows), BLOCK)
    return small[AS_IS], small[EQUALISED]
