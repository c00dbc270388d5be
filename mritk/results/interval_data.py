"""An interval as JSON-able data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mritk.evaluate.interval import Interval
from mritk.text.numbers import or_null


def interval_as_data(interval: Interval) -> dict[str, Any]:
    """Return an interval as JSON-able data."""
    told = asdict(interval)
    return told | {name: or_null(told[name]) for name in ("low", "high", "standard_error")}


def score_data(value: float, interval: Interval) -> dict[str, Any]:
    """Return a number with its interval as JSON-able data; None where it is undefined."""
    return {"value": or_null(value), "interval": interval_as_data(interval)}
