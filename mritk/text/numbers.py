"""Numbers for people and for JSON, which have no word for NaN."""

from __future__ import annotations

import math


def decimals(value: float, undefined: str = "–", *, sign: str = "") -> str:
    """Return a score with three decimals; ``sign="+"`` writes the sign of a difference."""
    return undefined if math.isnan(value) else format(value, f"{sign}.3f")


def p_text(p: float) -> str:
    """Return a p-value or a probability with three decimals."""
    return "< 0.001" if p < 0.001 else decimals(p)


def or_null(value: float) -> float | None:
    """Return a number, or None where JSON has none for it."""
    return value if math.isfinite(value) else None
