"""The patient that a file name in the style of BIDS tells."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mritk import DataError

# An entity ``sub-LABEL`` is a folder name, or stands in a file name up to the next entity.
SUBJECT = re.compile(r"(?:^|[/_])sub-([A-Za-z0-9+]+)(?=[_/.]|$)")


def subjects_of(
    names: Sequence[str], searched: Sequence[str] | None = None
) -> tuple[str, ...] | None:
    """Return the label of ``sub-LABEL`` in each of ``names``; None unless all of them have one.

    Args:
        names: N paths with ``/``.
        searched: What is searched of each; None: the whole.

    Raises:
        DataError: A name holds two different labels.
    """
    labels = []
    for name, text in zip(names, searched or names, strict=True):
        found = sorted(set(SUBJECT.findall(text)))
        if len(found) > 1:
            raise DataError(
                f"{name} names two subjects, {' and '.join(found)}; rename the file or its folder"
            )
        labels += found
    return tuple(labels) if names and len(labels) == len(names) else None
