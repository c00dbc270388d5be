"""Backbones from timm: curated names with documented weights, and any model as ``timm:NAME``.

Importing this package and yielding its records imports neither torch nor timm.
"""

from __future__ import annotations

from collections.abc import Iterator

from mritk import Architecture, BackboneFamily, Weights, hookimpl, lazy
from mritk_timm.curated import curated_records


@hookimpl
def mritk_backbones() -> Iterator[Architecture | Weights | BackboneFamily]:
    """Yield the curated architectures with their weights, and the family ``timm:NAME``."""
    yield from curated_records()
    yield BackboneFamily(
        "timm",
        lazy("mritk_timm.family:resolve"),
        lazy("mritk_timm.family:members"),
        summary="any timm model: timm:NAME or timm:NAME.TAG",
    )
