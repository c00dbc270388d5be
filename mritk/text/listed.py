"""Names and counts in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Return names one after another; semicolons divide them if some name has a comma."""
    return ("; " if any("," in name for name in names) else ", ").join(names)


def first_few(names: Sequence[str], count: int = 3) -> str:
    """Return the first names, divided by commas, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def many(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural but for one."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
