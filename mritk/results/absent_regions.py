"""How many scores of cases are undefined, because a label map lacks a region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from mritk.evaluate.cases import UNDEFINED
from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import of_any_region
from mritk.evaluate.segmentation import KINDS
from mritk.store.record import Predictions


def undefined_cases(test: Predictions) -> dict[str, int]:
    """Return how many cases have no value, by column, of columns with such cases."""
    counts = np.isnan(test.score).sum(axis=0).tolist() if test.cases else []
    return {name: count for name, count in zip(test.cases, counts, strict=True) if count}


def absent_regions(
    rows: Mapping[str, Sequence[tuple[Mapping[str, int], int]]], metrics: Sequence[Metric] = ()
) -> list[str]:
    """Return a sentence for each measure of a region with undefined cases.

    Args:
        rows: By name, of each trial its undefined cases and how many cases it was tested on.
        metrics: The columns of the table, which say when what they measure is undefined; what
            neither is one nor part of one is left out. Empty: nothing is.
    """
    why = UNDEFINED | {of_any_region(m.name): m.undefined for m in metrics if m.measure}
    labels = {name: label for name, (label, *_) in KINDS.items()}
    labels |= {m.name: m.label for m in metrics}
    shown = {m.name for m in metrics}
    lost: dict[str, Counter[str]] = {name: Counter() for name in rows}
    for name, trials in rows.items():
        for undefined, _ in trials:
            lost[name].update(undefined)
    tested = sum(cases for trials in rows.values() for _, cases in trials)
    return [
        _sentence(
            _label(column, labels),
            {name: found[column] for name, found in lost.items()},
            tested,
            why[of_any_region(column)],
        )
        for column in dict.fromkeys(column for found in lost.values() for column in found)
        if not shown or shown & {column, of_any_region(column)}
    ]


def _label(column: str, labels: Mapping[str, str]) -> str:
    """Return the heading that a column has, or would have."""
    kind = of_any_region(column)
    region = column.removeprefix(f"{kind}[").removesuffix("]")
    return labels.get(column) or (f"{labels[kind]} {region}" if kind in labels else column)


def _sentence(label: str, lost: Mapping[str, int], tested: int, why: str) -> str:
    """Say in how many cases a column is undefined, and in which rows if these differ."""
    of_rows = "; ".join(f"{name}: {count}" for name, count in lost.items())
    differ = len(set(lost.values())) > 1
    return (
        f"{label} is undefined in {sum(lost.values())} of {tested} tested cases, "
        f"{why or 'by its definition'}{f' ({of_rows})' if differ else ''}; they are left out."
    )
