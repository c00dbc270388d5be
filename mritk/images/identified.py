"""Samples that are known by the arrays that they are read as.

The digest that a dataset declares is that of a file. Which array becomes of the file depends on the
code that reads it, its options and libraries, so the file alone does not say what a network is
trained on. The array does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mritk.data.samples import Samples, array_digest
from mritk.errors import DataError, one_line
from mritk.machine.in_threads import in_threads

CHANGED = (
    "gave a different array than before: the data are being modified, or the reader is not "
    "deterministic; stop other writers and repeat the command, or run 'mritk plugins check'"
)


class SampleChanged(DataError):
    """A sample is read as another array than before, within one run."""


def array_digests(samples: Samples) -> tuple[list[str], dict[int, str]]:
    """Read all samples; return the digest of each array, and why rows cannot be read."""
    results = list(in_threads(lambda row: array_digest(samples.read(row)), len(samples)))
    unreadable = {row: one_line(r) for row, r in enumerate(results) if isinstance(r, Exception)}
    return ["" if isinstance(result, Exception) else result for result in results], unreadable


def identified(samples: Samples, arrays: Sequence[str], unreadable: Mapping[int, str]) -> Samples:
    """Return samples whose digests are those of their arrays, each proven whenever it is read.

    Args:
        samples: As a dataset opens them.
        arrays: Per sample, the :func:`~mritk.data.samples.array_digest` of what ``read`` gives.
        unreadable: Rows without one, and why; asked for their digest, they give that reason.

    Returns:
        The samples; their ``read`` and ``read_target`` raise :class:`SampleChanged` if a file was
        written to.
    """

    def digest(row: int) -> str:
        if row in unreadable:
            raise DataError(unreadable[row])
        return arrays[row]

    def read(row: int) -> np.ndarray:
        array = samples.read(row)
        if row not in unreadable and array_digest(array) != arrays[row]:
            raise SampleChanged(f"{samples.ids[row]} {CHANGED}")
        return array

    return replace(samples, read=read, digest=digest, read_target=_steady(samples))


def _steady(samples: Samples) -> Callable[[int], np.ndarray] | None:
    """Return a way to read label maps that refuses one that is not as it was first read."""
    read, first = samples.read_target, dict[int, str]()
    if read is None:
        return None

    def read_target(row: int) -> np.ndarray:
        labels = read(row)
        found = array_digest(labels)
        if first.setdefault(row, found) != found:
            raise SampleChanged(f"the label map of {samples.ids[row]} {CHANGED}")
        return labels

    return read_target
