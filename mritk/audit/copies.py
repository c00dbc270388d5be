"""Find the samples that are copies of each other, and the clusters that they form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from mritk.audit.altered import Pictures, altered_copies, named
from mritk.audit.evidence import BATCH, SmallPictures, same_content, same_frames
from mritk.audit.image_index import ImageIndex, Progress, silent
from mritk.audit.in_common import ALIKE, Own
from mritk.audit.search import FINE, PAIRS, Candidates, candidates, promising, structure
from mritk.audit.symmetry import symmetries
from mritk.files.kept import Draft, kept
from mritk.files.workspace import Workspace

# Raise this when other pairs come out of this module for the same signatures.
SEARCH_VERSION = 15

Kind = Literal["bytes", "pixels", "near"]


@dataclass(frozen=True)
class Pair:
    """Two samples of one image, by their rows, and why they are taken for that.

    Attributes:
        kind: ``bytes`` (identical files), ``pixels`` (identical arrays) or ``near``.
        similarity: Agreement of structure, at most 1; 1 for identical samples.
        change: What was done to the picture, such as ``rotated by 180°``.
    """

    one: int
    other: int
    kind: Kind
    similarity: float = 1.0
    change: str = ""

    @property
    def why(self) -> str:
        """The reason in words."""
        if self.kind == "near":
            return f"similarity {self.similarity:.4f}, {self.change}"
        return f"identical {self.kind}"


@dataclass(frozen=True, eq=False)
class Copies:
    """The copies among N samples.

    Attributes:
        pairs: The pairs that connect every cluster: n - 1 for n copies.
        clusters: (N,) int64; samples with equal numbers are copies of each other.
    """

    pairs: tuple[Pair, ...]
    clusters: np.ndarray

    @cached_property
    def members(self) -> list[np.ndarray]:
        """The rows of every cluster of two or more samples."""
        order = np.argsort(self.clusters, kind="stable")
        borders = np.flatnonzero(np.diff(self.clusters[order])) + 1
        return [rows for rows in np.split(order, borders) if len(rows) > 1]


def find_copies(
    indexes: Sequence[ImageIndex], workspace: Workspace | None = None, progress: Progress = silent
) -> Copies:
    """Return the copies within and across datasets; rows are counted through all indexes.

    Constant images are no copies of each other: there is nothing in them to recognise.

    Args:
        indexes: The signatures of one or more datasets.
        workspace: Where the result is kept; None: nowhere.
        progress: Called with what is being done and the share of it that is done.
    """
    count = sum(map(len, indexes))
    if workspace is None:
        return _clustered(list(_pairs(indexes, progress)), count)
    identity = [SEARCH_VERSION, [(index.contents, index.pixels) for index in indexes]]

    def search(draft: Draft) -> dict[str, Any]:
        return {"pairs": [asdict(pair) for pair in _pairs(indexes, progress)]}

    found = kept(workspace.folder("audit"), identity, search, "duplicates found by the audit")
    return _clustered([Pair(**pair) for pair in found.facts["pairs"]], count)


def _clustered(pairs: Sequence[Pair], count: int) -> Copies:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = [p.one for p in pairs], [p.other for p in pairs]
    graph = coo_array((np.ones(len(pairs)), (one, other)), shape=(count, count))
    return Copies(tuple(pairs), connected_components(graph, directed=False)[1].astype(np.int64))


def _pairs(indexes: Sequence[ImageIndex], progress: Progress) -> Iterator[Pair]:
    identical = list(_identical(indexes))
    yield from identical
    wanted = np.concatenate([_has_structure(index) for index in indexes])
    wanted[[pair.other for pair in identical]] = False  # one of each set of identical samples
    shapes = [shape for index in indexes for shape in index.shapes]
    dims = np.concatenate([np.full(len(index), index.whole.ndim - 1) for index in indexes])
    for number in np.unique(dims[wanted]):  # an image is no copy of a volume
        rows = np.flatnonzero(wanted & (dims == number))
        for pair in _near([b for b in indexes if b.whole.ndim - 1 == number], rows, dims, progress):
            sizes = ("×".join(map(str, shapes[row])) for row in (pair.one, pair.other))
            distinct = list(dict.fromkeys(sizes))
            changes = [pair.change] if pair.change else []
            changes += [" and ".join(distinct)] if len(distinct) > 1 else []
            yield replace(pair, change=", ".join(changes) or "re-encoded, or intensities changed")


def _has_structure(index: ImageIndex) -> np.ndarray:
    readable = np.asarray([bool(digest) for digest in index.pixels])
    return readable & ~index.constant


def _near(
    indexes: Sequence[ImageIndex], rows: np.ndarray, dims: np.ndarray, progress: Progress
) -> Iterator[Pair]:
    """Yield the pairs of near copies among ``rows`` that connect their clusters.

    Args:
        indexes: The indexes of one kind, images or volumes.
        rows: Rows of one or more samples to compare, counted through all indexes of either kind.
        dims: (N,) kind of every sample, counted likewise.
    """
    # Position of each row among the samples of its kind.
    place = (np.cumsum(dims == dims[rows[0]]) - 1)[rows]
    whole, content, coverage = (
        np.concatenate([getattr(index, name) for index in indexes])[place]
        for name in ("whole", "content", "coverage")
    )
    shapes = [shape[: whole.ndim - 1] for index in indexes for shape in index.shapes]
    size = np.asarray([float(np.prod(shape or (0,))) for shape in shapes])[place]
    small = SmallPictures(whole, content, coverage, (coverage * size) ** (1 / (whole.ndim - 1)))
    clusters = Clusters(len(rows))
    turns = symmetries(small.whole.ndim - 1)

    def pair(i: int, j: int, turn: int, similarity: float, how: str) -> Pair:
        change = ", ".join(text for text in (turns[turn].inverse.name, how) if text)
        return Pair(int(rows[i]), int(rows[j]), "near", round(float(similarity), 4), change)

    both = [structure(pictures, FINE).astype(np.float16) for pictures in (whole, content)]
    found = [Own.of(contours) for contours in both] if whole.ndim == 4 else []
    own = [each for each in found if each is not None]
    own = own if len(own) == len(both) else []  # a pair needs to be alike in one of the two
    for pictures, contours, same, change in (
        (small.whole, both[0], same_frames, ""),
        (small.content, both[1], same_content, "padding or position differs"),
    ):
        told = partial(progress, f"comparing {'whole images' if not change else 'content'}")
        for block in candidates(structure(pictures), told):
            for i, j, turn in _likely(block, contours, own, clusters):
                accepted, similarity = same(small, i, j, turn)
                for k in np.flatnonzero(accepted).tolist():
                    if not clusters.join(int(i[k]), int(j[k])):
                        continue
                    yield pair(i[k], j[k], turn[k], similarity[k], change)

    if whole.ndim == 3:
        # Without a copy where there is one index: these pictures are the largest.
        detail = (
            indexes[0].detail if len(indexes) == 1 else np.concatenate([b.detail for b in indexes])
        )
        nothing = ((0.0, 0.0),) * 2
        boxes = np.asarray([box or nothing for index in indexes for box in index.boxes])
        images = Pictures(detail, boxes)
        for one, other, turned, how, likeness in _altered(images, place, clusters, progress):
            yield pair(one, other, turned, likeness, how)


def _altered(
    pictures: Pictures, place: np.ndarray, clusters: Clusters, progress: Progress
) -> Iterator[tuple[int, int, int, str, float]]:
    """Yield altered copies; of every cluster that is known already, one picture is compared."""
    first = np.unique(clusters.label, return_index=True)[1]
    told = partial(progress, "comparing after registration")
    row_at = {int(place[row]): int(row) for row in first}
    for i, j, turn, moved, similarity in altered_copies(pictures, place[first], told):
        one, other = row_at[i], row_at[j]
        if clusters.join(one, other):
            yield one, other, turn, named(moved), similarity


def _likely(
    block: Candidates, contours: np.ndarray, own: Sequence[Own], clusters: Clusters
) -> Iterator[Candidates]:
    """Yield from a block of candidates, best first, those that are worth a full comparison.

    Pairs that were joined meanwhile are left out, so that n copies take about n comparisons.
    """
    start, size = 0, PAIRS
    while start < len(block[0]):
        part = tuple(column[start : start + size] for column in block)
        start += size
        apart = clusters.apart(part[0], part[1])
        part = tuple(column[apart] for column in part)
        likely = promising(contours, *part)
        part = tuple(column[likely] for column in part)
        if own:
            alike = np.max([each.correlation(*part) for each in own], axis=0) > ALIKE
            part = tuple(column[alike] for column in part)
        for first in range(0, len(part[0]), BATCH):
            batch = tuple(column[first : first + BATCH] for column in part)
            apart = clusters.apart(batch[0], batch[1])
            if apart.any():
                yield batch[0][apart], batch[1][apart], batch[2][apart]


class Clusters:
    """Which of N samples are known to be of one cluster."""

    def __init__(self, count: int) -> None:
        self.label = np.arange(count)

    def apart(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return which pairs are not of one cluster, (P,) bool."""
        different: np.ndarray = self.label[i] != self.label[j]
        return different

    def join(self, i: int, j: int) -> bool:
        """Make one cluster of two samples' clusters; False if they are one already."""
        one, other = self.label[i], self.label[j]
        if one == other:
            return False
        self.label[self.label == other] = one
        return True


def _identical(indexes: Sequence[ImageIndex]) -> Iterator[Pair]:
    """Yield a pair of each sample that is identical to an earlier one with the first such."""
    first_with: dict[tuple[str, str], int] = {}
    row = 0
    for index in indexes:
        for i in range(len(index)):
            if index.pixels[i] and not index.constant[i]:
                by_bytes = first_with.setdefault(("bytes", index.contents[i]), row)
                by_pixels = first_with.setdefault(("pixels", index.pixels[i]), row)
                if by_bytes != row:
                    yield Pair(by_bytes, row, "bytes")
                elif by_pixels != row:
                    yield Pair(by_pixels, row, "pixels")
            row += 1
