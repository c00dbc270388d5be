"""How people call the official parts of a dataset."""

from __future__ import annotations

import re

# ``train_set``, ``Testing Images``, ``validation-data``.
PART = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?)|(?P<test>test(?:ing)?))"
    r"(?:sets?|data|dataset|images|samples|split|part)?"
)


def bare(name: str) -> str:
    """Return ``name`` in lower case without spaces, hyphens and underscores.

    >>> bare("No-Tumor"), bare("no_tumor")
    ('notumor', 'notumor')
    """
    return re.sub(r"[\s_-]+", "", name.lower())


def part_of(name: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` if ``name`` is a usual spelling of it.

    >>> part_of("Training"), part_of("testing_set"), part_of("valid"), part_of("invalid")
    ('train', 'test', 'val', None)
    """
    found = PART.fullmatch(bare(name))
    return found.lastgroup if found else None
