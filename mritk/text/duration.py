"""Seconds as a person reads them."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """Return ``41 s``, ``3 min 5 s`` or ``2 h 5 min``; ``–`` for NaN."""
    if math.isnan(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
