"""Durations as a person says them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return ``41 s``, ``3 min`` or ``2 h 05 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
