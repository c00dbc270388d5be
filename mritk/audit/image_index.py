"""The signatures of all samples of a dataset, made once and kept in the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mritk.audit.detail import DETAIL_SHAPES
from mritk.audit.shrink import Box
from mritk.audit.signature import SIDES, coverage, signature
from mritk.data.samples import Samples, array_digest
from mritk.errors import one_line
from mritk.files.kept import Draft, discard, find, keep, key_of
from mritk.files.workspace import Workspace
from mritk.images.channels import one_channel
from mritk.machine.in_threads import in_threads

# Raise this when the signatures that come out of mritk.audit.signature change.
SIGNATURE_VERSION = 7
# What is kept of a signature besides its pictures, and what stands for it where there is none.
FACTS = {
    "array": "",
    "pixels": "",
    "shape": (),
    "mode": "",
    "low": 0.0,
    "high": 0.0,
    "box": (),
}
# What later versions have learnt to keep beside them.
LATER = {"holes": 0.0}
WHAT = "signatures of the audit"

PICTURES = ("whole", "content", "detail")

Progress = Callable[[str, float], None]


def silent(what: str, share: float) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """What the audit knows of the N samples of a dataset.

    Attributes:
        key: Digest of the contents; equal indexes have equal keys.
        contents: Per sample, the SHA-256 of its content (of its file, where it is one).
        arrays: Per sample, the SHA-256 of the array as it is read; empty if unreadable.
        pixels: Per sample, that of the array without equal channels; empty if unreadable.
        shapes: Per sample, the shape as decoded.
        modes: Per sample, grey, colour or volume with the dtype.
        low, high: Per sample, the smallest and the largest value.
        boxes: Per sample, (first, last) along each axis of the box around its content, in shares of
            the frame; without elements if unreadable.
        whole: (N, S, S) or (N, S, S, S) uint8, the small pictures of the whole frames.
        content: The same of the content alone.
        detail: (N, 3, D, D) uint8, whole frames in more detail: as they are, equalised, with their
            edges enhanced; of volumes, without elements.
        unreadable: Row to reason, of samples that cannot be read.
        holes: Per sample, the share of it that is no number in its file, as far as that is known.
    """

    key: str
    contents: tuple[str, ...]
    arrays: tuple[str, ...]
    pixels: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    modes: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    boxes: tuple[Box, ...]
    whole: np.ndarray
    content: np.ndarray
    detail: np.ndarray
    unreadable: dict[int, str]
    holes: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.contents)

    @cached_property
    def coverage(self) -> np.ndarray:
        """(N,) share of the frame that the content covers; 0 if unreadable."""
        return np.asarray([coverage(box) if box else 0.0 for box in self.boxes])

    @cached_property
    def constant(self) -> np.ndarray:
        """(N,) bool: samples that can be read and hold one value only."""
        flat = np.asarray(self.low) == np.asarray(self.high)
        flat[list(self.unreadable)] = False
        return flat


def image_index(
    samples: Samples,
    workspace: Workspace,
    reader: Sequence[str] = (),
    progress: Progress = silent,
    expected: Sequence[str] = (),
) -> ImageIndex:
    """Return the signatures of all samples, from the cache if nothing has changed.

    What could not be read is tried again every time: it may be mended without another name.

    Args:
        samples: Images or volumes.
        workspace: Where the signatures are kept.
        reader: What tells the code that reads the samples from other such code.
        progress: Called with what is being done and the share of it that is done.
        expected: Digests of samples that were all read a moment ago: if signatures of these are
            kept, the samples are not digested again.

    Raises:
        CacheError: The cache cannot be written.
    """

    def key_for(contents: Sequence[str]) -> str:
        named = [samples.channels] if samples.channels else []
        return key_of([SIGNATURE_VERSION, samples.spatial_dims, list(reader), contents, *named])

    if len(expected) == len(samples):
        key = key_for(expected)
        kept = _load(workspace.folder("audit") / key, key, tuple(expected))
        if kept is not None and all(kept.pixels):
            return kept
    contents, unreadable = _digests(samples)
    key = key_for(contents)
    folder = workspace.folder("audit") / key
    kept = _load(folder, key, contents)
    if kept is not None:
        failed = [row for row, pixels in enumerate(kept.pixels) if not pixels]
        reasons = {row: unreadable.get(row) or _reason(samples, row) for row in failed}
        if all(reasons.values()):
            return replace(kept, unreadable=reasons)
        discard(folder)  # something was mended
    return _indexed(samples, key, contents, unreadable, folder, progress)


def _reason(samples: Samples, row: int) -> str:
    """Return why a sample cannot be read; empty if it can."""
    try:
        signature(one_channel(samples.read(row), samples.channels), samples.spatial_dims or 2)
    except Exception as error:
        return one_line(error)
    return ""


def _digests(samples: Samples) -> tuple[tuple[str, ...], dict[int, str]]:
    digests = list(in_threads(samples.content, len(samples)))
    unreadable = {row: one_line(d) for row, d in enumerate(digests) if isinstance(d, Exception)}
    return tuple("" if isinstance(d, Exception) else d for d in digests), unreadable


def _load(folder: Path, key: str, contents: tuple[str, ...]) -> ImageIndex | None:
    """Return a kept index; None if there is none, or only a damaged one."""
    entry = find(folder, WHAT)
    if entry is None or not FACTS.keys() <= entry.facts.keys():
        return None
    absent = {name: [value] * len(contents) for name, value in LATER.items()}
    return _index(key, contents, absent | entry.facts, entry.arrays, {})


def _index(
    key: str,
    contents: tuple[str, ...],
    columns: Mapping[str, Sequence[Any]],
    pictures: Mapping[str, np.ndarray],
    unreadable: dict[int, str],
) -> ImageIndex:
    return ImageIndex(
        key=key,
        contents=contents,
        arrays=tuple(columns["array"]),
        pixels=tuple(columns["pixels"]),
        shapes=tuple(tuple(shape) for shape in columns["shape"]),
        modes=tuple(columns["mode"]),
        low=tuple(columns["low"]),
        high=tuple(columns["high"]),
        boxes=tuple(tuple((first, last) for first, last in box) for box in columns["box"]),
        **pictures,
        unreadable=unreadable,
        holes=tuple(columns["holes"]),
    )


def _indexed(
    samples: Samples,
    key: str,
    contents: tuple[str, ...],
    unreadable: dict[int, str],
    folder: Path,
    progress: Progress,
) -> ImageIndex:
    """Compute all signatures, and keep them in ``folder`` unless some samples changed meanwhile."""
    dims = samples.spatial_dims or 2
    side, count = SIDES[dims], len(samples)
    shapes = {"whole": (side,) * dims, "content": (side,) * dims, "detail": DETAIL_SHAPES[dims]}
    small = {name: np.zeros((count, *shapes[name]), np.uint8) for name in PICTURES}
    empty = FACTS | LATER
    columns: dict[str, list[Any]] = {name: [] for name in empty}
    unreadable = dict(unreadable)

    def look(row: int) -> dict[str, Any]:
        if not contents[row]:
            return {}
        array = samples.read(row)
        found = signature(one_channel(array, samples.channels), dims)
        as_read = found.pixels if array.shape == found.shape else array_digest(array)
        holes = samples.holes(row) if samples.holes else 0.0
        return {"array": as_read, "holes": holes, **vars(found)}

    for row, result in enumerate(in_threads(look, count)):
        seen: dict[str, Any] = {}
        if isinstance(result, Exception):
            unreadable[row] = one_line(result)
        elif result:
            seen = result
            for name, pictures in small.items():
                pictures[row] = seen[name]
        for name, column in columns.items():
            column.append(seen.get(name, empty[name]))
        progress("reading", (row + 1) / count)
    if _digests(samples)[0] == contents:  # a file may change between its digest and its signature

        def fill(draft: Draft) -> Mapping[str, Any]:
            for name, array in small.items():
                draft.save(name, array)
            return columns

        keep(folder, fill, WHAT)
    return _index(key, contents, columns, small, unreadable)
