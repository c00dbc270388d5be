"""Seconds as a person reads them."""

from __future__ import annotations

import math
import re

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(seconds: float) -> str:
    """Return ``41 s``, ``3 min 5 s`` or ``2 h 5 min``; ``–`` for NaN."""
    if math.isnan(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def seconds_of(text: str) -> float | None:
    """Return the seconds that ``45s``, ``90m``, ``1.5h``, ``2h30m`` or ``3d`` mean.

    None for other text, and for no time at all.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text, re.ASCII)
    if "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * SECONDS[unit] for number, unit in parts) or None
