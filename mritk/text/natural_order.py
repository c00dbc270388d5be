"""The order in which a person looks for names and values: 5 before 15, and "all" behind them."""

from __future__ import annotations

import math
import re
from typing import Any

NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
# Keys of a protocol whose 0 sets no limit.
UNLIMITED = frozenset({"split.shots", "split.train_patients"})
ALL = "all"

# Text and numbers in turn, as a name holds them.
NaturalKey = tuple["str | float", ...]


def natural(name: str) -> NaturalKey:
    """Return what names are sorted by, so that ``shots=5`` stands before ``shots=15``."""
    parts = NUMBER.split(name)
    return tuple(float(part) if at % 2 else part for at, part in enumerate(parts))


def is_all(key: str, value: Any) -> bool:
    """Whether the value of a protocol's key sets no limit, though it reads as none at all."""
    return key in UNLIMITED and value == 0


def value_order(key: str, value: Any) -> tuple[str, float, NaturalKey]:
    """Return what the values of a key are sorted by: numbers by size, what sets no limit last."""
    if is_all(key, value):
        return "number", math.inf, ()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number", float(value), ()
    return "word", 0.0, natural(str(value))


def value_text(key: str, value: Any) -> str:
    """Return a value as people say it: ``all`` where it sets no limit."""
    return ALL if is_all(key, value) else str(value)
