"""Keep what was computed from every sample of a dataset, so that all trials share it.

An example are the features of a frozen backbone. Values stand in ``MRITK_HOME/features``; see
:mod:`mritk.files.kept`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import MritkError
from mritk.files.kept import Draft
from mritk.files.kept import kept as kept_entry
from mritk.files.workspace import Workspace
from mritk.images.channels import shaping_code
from mritk.images.decode import decoded
from mritk.images.grid import GridLike
from mritk.images.preprocessing import UNCHANGED, Preprocessing

VALUES = "values"

# Given a size or grid and an interpolation: the decoded images of all samples.
Pixels = Callable[[GridLike, str], np.ndarray]
Made = tuple[np.ndarray, Mapping[str, Any]]
Compute = Callable[[Pixels], Made]


@dataclass(frozen=True, eq=False)
class Derived:
    """Values computed from samples.

    Attributes:
        values: (N, …), one row per sample.
        facts: Facts about the computation, as plain data.
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
        CacheError: The values cannot be stored.
    """

    def make() -> Made:
        pixels = partial(decoded, samples, workspace=workspace, preprocessing=preprocessing)
        values, facts = compute(pixels)
        if len(values) != len(samples):
            raise MritkError(f"{len(values)} rows were derived from {len(samples)} samples")
        return values, facts

    identity = [*shaping_code(), samples.spatial_dims, samples.contents, dict(key)]
    identity += preprocessing.identity()
    identity += [] if samples.spacing is None else [samples.spacing.tolist()]
    return kept(identity, make, workspace)


def kept(identity: Any, make: Callable[[], Made], workspace: Workspace) -> Derived:
    """Return the result of ``make``, cached on disk by identity.

    Args:
        identity: Plain data, of any size, that identify the values.
        make: Returns the values and facts as plain data.
        workspace: Where they are cached.

    Raises:
        CacheError: They cannot be stored.
    """

    def fill(draft: Draft) -> Mapping[str, Any]:
        values, facts = make()
        draft.save(VALUES, values)
        return facts

    folder, near = workspace.folder("features"), workspace.near("features")
    entry = kept_entry(folder, identity, fill, "computed values", near)
    return Derived(entry.arrays[VALUES], entry.facts)
