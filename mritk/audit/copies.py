"""Find the samples that are copies of each other, and the clusters that they form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import numpy as np

from mritk.audit.book import Progress, SketchBook, silent
from mritk.audit.evidence import SAME_CONTENT, SAME_SMALL, SAME_WHOLE, compare
from mritk.audit.search import candidates, structure
from mritk.audit.symmetry import symmetries
from mritk.workspace import Workspace

if TYPE_CHECKING:
    from scipy.cluster.hierarchy import DisjointSet

# Raise this when other pairs come out of this module for the same sketches.
SEARCH_VERSION = 1

# Content that covers less of the frame is so small in the picture of the whole frame that
# neighbouring slices differ less there (they reach 0.9955); more is asked of such pairs.
ENOUGH_CONTENT = 0.25

Kind = Literal["bytes", "pixels", "near"]


@dataclass(frozen=True)
class Pair:
    """Two samples of one image, and why they are taken for that.

    Attributes:
        one: Row of the one sample.
        other: Row of the other.
        kind: ``bytes`` (identical files), ``pixels`` (identical arrays) or ``near``.
        similarity: Agreement of structure, at most 1; 1 for identical samples.
        change: What was done to the picture, such as ``rotated by 180°``.
    """

    one: int
    other: int
    kind: Kind
    similarity: float = 1.0
    change: str = ""


@dataclass(frozen=True, eq=False)
class Copies:
    """The copies among N samples.

    Attributes:
        pairs: Enough pairs to connect every cluster.
        clusters: (N,) int64; samples with equal numbers are copies of each other.
    """

    pairs: tuple[Pair, ...]
    clusters: np.ndarray

    @property
    def members(self) -> list[np.ndarray]:
        """The rows of every cluster of two or more samples."""
        order = np.argsort(self.clusters, kind="stable")
        borders = np.flatnonzero(np.diff(self.clusters[order])) + 1
        return [rows for rows in np.split(order, borders) if len(rows) > 1]


def find_copies(
    books: Sequence[SketchBook], workspace: Workspace | None = None, progress: Progress = silent
) -> Copies:
    """Return the copies within and across datasets; rows are counted through all books.

    Constant images are no copies of each other: there is nothing in them to recognise.

    Args:
        books: The sketches of one or more datasets.
        workspace: Where the result is kept; None: nowhere.
        progress: Called with what is being done and the share of it that is done.
    """
    path = _cached_path(books, workspace)
    if path is not None and path.is_file():
        found = [Pair(**pair) for pair in json.loads(path.read_text(encoding="utf-8"))]
        return _clustered(found, sum(map(len, books)))
    pairs = list(_pairs(books, progress))
    if path is not None:
        temporary = path.with_suffix(f".{uuid4().hex}.tmp")
        temporary.write_text(json.dumps([asdict(pair) for pair in pairs]), encoding="utf-8")
        temporary.replace(path)
    return _clustered(pairs, sum(map(len, books)))


def _cached_path(books: Sequence[SketchBook], workspace: Workspace | None) -> Path | None:
    if workspace is None:
        return None
    identity = json.dumps([SEARCH_VERSION, [book.key for book in books]])
    return workspace.folder("audit") / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"


def _clustered(pairs: Sequence[Pair], count: int) -> Copies:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = [p.one for p in pairs], [p.other for p in pairs]
    graph = coo_array((np.ones(len(pairs)), (one, other)), shape=(count, count))
    return Copies(tuple(pairs), connected_components(graph, directed=False)[1].astype(np.int64))


def _pairs(books: Sequence[SketchBook], progress: Progress) -> Iterator[Pair]:
    from scipy.cluster.hierarchy import DisjointSet

    identical = list(_identical(books))
    yield from identical
    wanted = np.concatenate([_has_structure(book) for book in books])
    wanted[[pair.other for pair in identical]] = False  # one of each set of identical samples
    distinct = np.flatnonzero(wanted)
    if len(distinct) < 2:
        return
    connected = DisjointSet(distinct.tolist())
    shapes = [shape for book in books for shape in book.shapes]
    for pair in _near(books, distinct, connected, progress):
        connected.merge(pair.one, pair.other)
        sizes = dict.fromkeys("×".join(map(str, shapes[row])) for row in (pair.one, pair.other))
        changes = [pair.change] if pair.change else []
        changes += [" and ".join(sizes)] if len(sizes) > 1 else []
        yield replace(pair, change=", ".join(changes) or "re-encoded, or intensities changed")


def _has_structure(book: SketchBook) -> np.ndarray:
    readable = np.asarray([bool(digest) for digest in book.pixels])
    return readable & ~book.constant


def _near(
    books: Sequence[SketchBook], distinct: np.ndarray, connected: DisjointSet, progress: Progress
) -> Iterator[Pair]:
    """Yield near copies among the rows ``distinct`` that are not ``connected`` yet."""
    covered = np.concatenate([book.coverage for book in books]) >= ENOUGH_CONTENT
    for frame in ("whole", "content"):
        parts = [getattr(book, frame) for book in books]
        pictures = parts[0] if len(parts) == 1 else np.concatenate(parts)
        turns = symmetries(pictures.ndim - 1)
        vectors = structure(pictures[distinct])
        for i, j, number in candidates(vectors, lambda share: progress("comparing", share)):
            rows = zip(distinct[i].tolist(), distinct[j].tolist(), strict=True)
            apart = np.asarray([not connected.connected(a, b) for a, b in rows], dtype=bool)
            one, other, turn = distinct[i[apart]], distinct[j[apart]], number[apart]
            found = compare(pictures, one, other, turn, align=frame == "content")
            least: float | np.ndarray = SAME_CONTENT
            if frame == "whole":
                least = np.where(covered[one] & covered[other], SAME_WHOLE, SAME_SMALL)
            for k in np.flatnonzero(found >= least).tolist():
                change = [name] if (name := turns[turn[k]].name) else []
                change += ["padding or position differs"] if frame == "content" else []
                similarity = round(float(found[k]), 4)
                yield Pair(int(one[k]), int(other[k]), "near", similarity, ", ".join(change))


def _identical(books: Sequence[SketchBook]) -> Iterator[Pair]:
    """Yield a pair of each sample that is identical to an earlier one with the first such."""
    first_with: dict[tuple[str, str], int] = {}
    row = 0
    for book in books:
        for i in range(len(book)):
            if book.pixels[i] and not book.constant[i]:
                by_bytes = first_with.setdefault(("bytes", book.contents[i]), row)
                by_pixels = first_with.setdefault(("pixels", book.pixels[i]), row)
                if by_bytes != row:
                    yield Pair(by_bytes, row, "bytes")
                elif by_pixels != row:
                    yield Pair(by_pixels, row, "pixels")
            row += 1
