"""Describe a head as plain data, and build it again from the description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

LAYERS: Mapping[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "BatchNorm1d": (nn.BatchNorm1d, ("num_features", "eps")),
    "Linear": (nn.Linear, ("in_features", "out_features")),
    "ReLU": (nn.ReLU, ()),
    "Dropout": (nn.Dropout, ("p",)),
}


def describe_head(head: nn.Module) -> list[dict[str, Any]] | None:
    """Return one ``{"layer": …}`` per layer, with its sizes; None for a head of another kind."""
    if type(head) is not nn.Sequential:
        return None
    described = []
    for layer in head:
        name = type(layer).__name__
        kind, arguments = LAYERS.get(name, (None, ()))
        if type(layer) is not kind or getattr(layer, "bias", 0) is None:
            return None
        described.append({"layer": name, **{a: getattr(layer, a) for a in arguments}})
    return described


def build_described_head(description: Sequence[Mapping[str, Any]]) -> nn.Sequential:
    """Return the head that :func:`describe_head` described, freshly initialised.

    Raises:
        ValueError: The description names an unknown layer, or lacks a size.
    """
    layers = []
    for entry in description:
        kind, arguments = LAYERS.get(str(entry.get("layer")), (None, ()))
        if kind is None or set(entry) != {"layer", *arguments}:
            raise ValueError(f"{dict(entry)} is not a head layer")
        layers.append(kind(**{name: entry[name] for name in arguments}))
    return nn.Sequential(*layers)
