"""An input contract from what the configurations of timm and transformers say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mritk import InputContract


def make_contract(
    size: Any, mean: Any, std: Any, interpolation: str, channels: int = 3
) -> InputContract:
    """Return an input contract from what a configuration says, in units of pixels in [0, 1]."""
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    grown = [tuple(float(v) for v in values) for values in (mean, std)]
    mean, std = (values * channels if len(values) == 1 else values for values in grown)
    return InputContract(int(size) if size else None, mean, std, interpolation)
