"""How many scores of cases are undefined, because a label map lacks a region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from mritk.evaluate.cases import UNDEFINED
from mritk.store.record import Predictions


def undefined_cases(test: Predictions) -> dict[str, int]:
    """Return how many cases have no value, by column, of columns with such cases."""
    counts = np.isnan(test.score).sum(axis=0).tolist() if test.cases else []
    return {name: count for name, count in zip(test.cases, counts, strict=True) if count}


def absent_regions(trials: Iterable[tuple[Mapping[str, int], int]]) -> list[str]:
    """Return a sentence for each column with undefined cases.

    Args:
        trials: Of each trial, its undefined cases and how many cases it was tested on.
    """
    lost, tested = Counter[str](), 0
    for undefined, cases in trials:
        lost.update(undefined)
        tested += cases
    return [
        f"{column} is undefined in {count} of {tested} tested cases, "
        f"{UNDEFINED[column.partition('[')[0]]}; they are left out."
        for column, count in lost.items()
    ]
