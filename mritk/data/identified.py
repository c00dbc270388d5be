"""Samples that are known by the arrays that they are read as.

The digest that a dataset declares is that of a file. Which array becomes of the file depends on the
code that reads it, its options and libraries, so the file alone does not say what a network is
trained on. The array does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mritk.data.samples import Samples, array_digest
from mritk.errors import DataError, one_line
from mritk.machine.in_threads import in_threads


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
        The samples; their ``read`` raises :class:`SampleChanged` if a file was written to.
    """

    def digest(row: int) -> str:
        if row in unreadable:
            raise DataError(unreadable[row])
        return arrays[row]

    def read(row: int) -> np.ndarray:
        array = samples.read(row)
        if row not in unreadable and array_digest(array) != arrays[row]:
            raise SampleChanged(
                f"{samples.ids[row]} gave a different array than before: the data are being "
                "modified, or the reader is not deterministic; stop other writers and repeat the "
                "command, or run 'mritk plugins check'"
            )
        return array

    return replace(samples, read=read, digest=digest)
