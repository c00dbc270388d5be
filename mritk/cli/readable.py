"""Values of a trial file as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNITS = ("B", "kB", "MB", "GB", "TB")
DIGITS = 4


def readable(label: str, value: Any) -> Any:
    """Return a value with as many digits as matter; bytes, where the label says so, with a unit."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if label.endswith(("_bytes", ".bytes")):
        size, unit = in_unit(value)
        return f"{size:.3g} {unit}"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.{DIGITS}g}"
    return f"{value:.0f}" if abs(value) < 1e15 else f"{value:.{DIGITS}g}"


def in_unit(count: float) -> tuple[float, str]:
    """Return bytes in the first unit of which there are fewer than 1000, rounded, and the unit."""
    for unit in UNITS[:-1]:
        if count < 999.5:
            return count, unit
        count /= 1000
    return count, UNITS[-1]


def history_table(epochs: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each epoch: stage, learning rate, losses, selection value, duration."""
    from tabulate import tabulate

    heads = ["epoch", "stage", "learning rate", "training loss", "validation loss", "selection"]
    rows = [
        [
            epoch["epoch"],
            epoch["stage"],
            f"{epoch['learning_rate']:.3g}",
            *(f"{epoch[key]:.4f}" for key in ("train_loss", "val_loss", "selection")),
            f"{epoch['seconds']:.2f}",
        ]
        for epoch in epochs
    ]
    return tabulate(rows, [*heads, "seconds"], disable_numparse=True)
