"""DICOM series as datasets."""

from __future__ import annotations

from collections.abc import Iterator

from mritk import DatasetFamily, hookimpl


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the family."""
    yield from ()
