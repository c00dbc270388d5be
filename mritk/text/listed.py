"""Names in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Return names one after another; semicolons divide them if some name has a comma."""
    return ("; " if any("," in name for name in names) else ", ").join(names)
