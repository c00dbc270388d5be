"""Keep what was computed from every sample of a dataset, so that all trials share it.

An example are the features of a frozen backbone. Values stand in ``MRITK_HOME/features``, one
folder for each identity, which holds the array and a few facts about it. A folder is renamed into
place only when complete and on disk, so two processes at work never harm each other, and one that
is damaged is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from mritk.data.decode import decoded
from mritk.data.preprocessing import UNCHANGED, Preprocessing
from mritk.data.samples import Samples
from mritk.data.shaping import shaping_code
from mritk.errors import MritkError, StoreError
from mritk.workspace import Workspace

VALUES, FACTS = "values.npy", "facts.json"
# How often a process tries to put its folder in place of a damaged one.
ATTEMPTS = 3

# Given a size and an interpolation: the decoded images of all samples, as in ``Subset.images``.
Pixels = Callable[[int | None, str], np.ndarray]
Made = tuple[np.ndarray, Mapping[str, Any]]
Compute = Callable[[Pixels], Made]


@dataclass(frozen=True, eq=False)
class Derived:
    """Values that were computed from samples.

    Attributes:
        values: (N, …) one row for each sample.
        facts: What was noted about the computation, as plain data.
    """

    values: np.ndarray
    facts: dict[str, Any]

    def only(self, rows: Sequence[int] | np.ndarray) -> Derived:
        """Return the values of ``rows``, copied: they do not lead to those of other rows."""
        return Derived(np.array(self.values[np.asarray(rows, dtype=np.int64)]), self.facts)


def derived(
    samples: Samples,
    key: Mapping[str, Any],
    compute: Compute,
    workspace: Workspace,
    preprocessing: Preprocessing = UNCHANGED,
) -> Derived:
    """Return what ``compute`` makes of all samples, computed if that was not done before.

    Args:
        samples: A whole dataset.
        key: Plain data that change whenever ``compute`` would give other values.
        compute: Turns the decoded images of all samples, without labels, into one row of values
            for each and facts as plain data. A row must depend on its own image alone.
        workspace: Where the values are kept.
        preprocessing: What is done to each image after resizing.

    Returns:
        Read-only memory-mapped values, and the facts.

    Raises:
        MritkError: ``compute`` gave another number of rows.
        StoreError: The values cannot be stored.
    """

    def make() -> Made:
        values, facts = compute(
            lambda size, how: decoded(samples, size, how, workspace, preprocessing)
        )
        if len(values) != len(samples):
            raise MritkError(f"{len(values)} rows of values were made of {len(samples)} samples")
        return values, facts

    identity = [*shaping_code(), samples.spatial_dims, samples.contents, dict(key)]
    identity += preprocessing.identity()
    return kept(identity, make, workspace)


def kept(identity: Any, make: Callable[[], Made], workspace: Workspace) -> Derived:
    """Return what ``make`` returns: from disk, if it was made for this identity before.

    Args:
        identity: Plain data, of any size, that tell the values from all others.
        make: Returns the values and facts as plain data.
        workspace: Where they are kept.

    Raises:
        StoreError: They cannot be stored.
    """
    canonical = json.dumps(identity, sort_keys=True)
    name = hashlib.sha256(canonical.encode()).hexdigest()[:32]
    place = workspace.folder("features") / name
    found = _read(place)
    if found is None:
        values, facts = make()
        _write(place, values, facts)
        found = _read(place)
    if found is None:
        raise StoreError(f"{place} cannot be read although it was just written; check the disk")
    return found


def _read(place: Path) -> Derived | None:
    """Return what a folder holds; None if it is not there or not whole."""
    try:
        noted = json.loads((place / FACTS).read_text(encoding="utf-8"))
        values = np.load(place / VALUES, mmap_mode="r", allow_pickle=False)
        whole = noted["shape"] == list(values.shape) and noted["dtype"] == values.dtype.str
        return Derived(values, dict(noted["facts"])) if whole else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _write(place: Path, values: np.ndarray, facts: Mapping[str, Any]) -> None:
    noted = {"shape": list(values.shape), "dtype": values.dtype.str, "facts": dict(facts)}
    temporary = _beside(place)
    try:
        temporary.mkdir()
        with (temporary / VALUES).open("wb") as stream:
            np.save(stream, np.ascontiguousarray(values), allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        with (temporary / FACTS).open("wb") as stream:
            stream.write(json.dumps(noted).encode())
            stream.flush()
            os.fsync(stream.fileno())
        _publish(temporary, place)
    except OSError as error:
        raise StoreError(
            f"cannot store {values.nbytes / 1e6:.0f} MB of computed values in {place.parent}: "
            f"{error.strerror or error}; free space, or set MRITK_HOME to another disk"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, place: Path) -> None:
    """Rename a complete folder into place, unless another process was first."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            temporary.rename(place)
            return
        except OSError:
            if _read(place) is not None:
                return
            if attempt == ATTEMPTS:
                raise
        _discard(place)


def _discard(place: Path) -> None:
    """Remove a damaged folder; renamed first, so that nobody meets a half-removed one."""
    aside = _beside(place)
    try:
        place.rename(aside)
    except FileNotFoundError:
        return
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.{uuid4().hex}.tmp")
