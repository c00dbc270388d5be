"""The sketches of all samples of a dataset, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from mritk.audit.sketch import SIDES, Sketch, sketch
from mritk.data.decode import in_threads, reason_of
from mritk.data.samples import Samples
from mritk.workspace import Workspace

# Raise this when the sketches that come out of mritk.audit.sketch change.
SKETCH_VERSION = 1
# What is kept of a sketch besides its pictures, and what stands for it where there is none.
FACTS = {"pixels": "", "shape": (), "mode": "", "low": 0.0, "high": 0.0, "coverage": 0.0}

Progress = Callable[[str, float], None]


def silent(what: str, share: float) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True, eq=False)
class SketchBook:
    """What the audit knows of the N samples of a dataset.

    Attributes:
        key: Digest of the contents; equal books have equal keys.
        contents: Per sample, the SHA-256 of its content (of its file, where it is one).
        pixels: Per sample, the SHA-256 of the decoded array; empty if unreadable.
        shapes: Per sample, the shape as decoded.
        modes: Per sample, grey, colour or volume with the dtype.
        low: Per sample, the smallest value.
        high: Per sample, the largest value.
        coverage: Per sample, the share of the frame that its content covers.
        whole: (N, S, S) or (N, S, S, S) uint8, the small pictures of the whole frames.
        content: The same of the content alone.
        unreadable: Row to reason, of samples that cannot be read.
    """

    key: str
    contents: tuple[str, ...]
    pixels: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    modes: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    coverage: tuple[float, ...]
    whole: np.ndarray
    content: np.ndarray
    unreadable: dict[int, str]

    def __len__(self) -> int:
        return len(self.contents)

    @cached_property
    def constant(self) -> np.ndarray:
        """(N,) bool: samples that can be read and hold one value only."""
        flat = np.asarray(self.low) == np.asarray(self.high)
        flat[list(self.unreadable)] = False
        return flat


def sketch_book(
    samples: Samples,
    workspace: Workspace,
    reader: Sequence[str] = (),
    progress: Progress = silent,
) -> SketchBook:
    """Return the sketches of all samples, from the cache if nothing has changed.

    Args:
        samples: Images or volumes.
        workspace: Where the sketches are kept.
        reader: What tells the code that reads the samples from other such code.
        progress: Called with what is being done and the share of it that is done.
    """
    digests = list(in_threads(samples.content, len(samples)))
    unreadable = {row: reason_of(d) for row, d in enumerate(digests) if isinstance(d, Exception)}
    contents = tuple("" if isinstance(d, Exception) else d for d in digests)
    identity = [SKETCH_VERSION, samples.spatial_dims, list(reader), contents]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
    folder = workspace.folder("audit") / key
    if unreadable:  # what cannot be read today may be mended tomorrow without another name
        shutil.rmtree(folder, ignore_errors=True)
    if not (folder / "facts.json").is_file():
        _write(samples, contents, unreadable, folder, progress)
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return SketchBook(
        key=key,
        contents=contents,
        pixels=tuple(facts["pixels"]),
        shapes=tuple(tuple(shape) for shape in facts["shape"]),
        modes=tuple(facts["mode"]),
        low=tuple(facts["low"]),
        high=tuple(facts["high"]),
        coverage=tuple(facts["coverage"]),
        whole=np.load(folder / "whole.npy", mmap_mode="r"),
        content=np.load(folder / "content.npy", mmap_mode="r"),
        unreadable={int(row): reason for row, reason in facts["unreadable"].items()},
    )


def _write(
    samples: Samples,
    contents: Sequence[str],
    unreadable: dict[int, str],
    folder: Path,
    progress: Progress,
) -> None:
    """Sketch all samples into ``folder``, which appears only when it is complete."""
    dims = samples.spatial_dims or 2
    side, count = SIDES[dims], len(samples)
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        small = {
            name: np.lib.format.open_memmap(
                temporary / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(count, *[side] * dims)
            )
            for name in ("whole", "content")
        }
        columns: dict[str, list[Any]] = {name: [] for name in FACTS}
        reasons = dict(unreadable)
        for row, found in enumerate(
            in_threads(lambda i: sketch(samples.read(i), dims) if contents[i] else None, count)
        ):
            if isinstance(found, Sketch):
                small["whole"][row], small["content"][row] = found.whole, found.content
            elif isinstance(found, Exception):
                reasons[row] = reason_of(found)
            for name, column in columns.items():
                column.append(getattr(found, name, FACTS[name]))
            progress("reading", (row + 1) / count)
        for array in small.values():
            array.flush()
        text = json.dumps({**columns, "unreadable": reasons})
        (temporary / "facts.json").write_text(text, encoding="utf-8")
        if folder.exists():  # another process was faster, or an old book was half removed
            shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
