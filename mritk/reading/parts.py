"""How people call the official parts of a dataset."""

from __future__ import annotations

import re

from mritk.reading.spelling import canonical_name

SPLITS = ("train", "val", "test")

# ``train_set``, ``Testing Images``, ``validation-data``, ``1. train``.
PART = re.compile(
    r"(?:\d{1,2}[.)]?)?"
    r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:at(?:ion|e))?)?)|(?P<test>test(?:ing)?))"
    r"(?:sets?|data|dataset|images|samples|split|part)?"
)


def part_of(name: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` if ``name`` is a usual spelling of it.

    >>> part_of("Training"), part_of("testing_set"), part_of("2. valid"), part_of("invalid")
    ('train', 'test', 'val', None)
    """
    found = PART.fullmatch(canonical_name(name))
    return found.lastgroup if found else None
