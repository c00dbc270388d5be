"""Backbones from torchvision: any of its classification models, as ``torchvision:NAME``.

Importing this package and yielding its record imports neither torch nor torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator

from mritk import BackboneFamily, hookimpl, lazy


@hookimpl
def mritk_backbones() -> Iterator[BackboneFamily]:
    """Yield the family ``torchvision:NAME``."""
    yield BackboneFamily(
        "torchvision",
        lazy("mritk_torchvision.family:resolve"),
        lazy("mritk_torchvision.family:members"),
        summary="any torchvision classification model: torchvision:NAME@imagenet1k_v1",
    )
