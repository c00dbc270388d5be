"""How evenly a division spreads the samples, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mritk.data.samples import Samples
from mritk.reading.parts import SPLITS
from mritk.splits.fold import Fold
from mritk.text.listed import first_few

# A line names so many classes, the most frequent ones first if there are more.
NAMED = 8


def balance(samples: Samples, fold: Fold) -> list[dict[str, Any]]:
    """Return one row per part: train, val, test, and dropped and unused where they exist.

    Returns:
        JSON-able rows with ``part``, ``samples``, ``patients`` and ``sites`` (how many; None if
        unknown), and ``classes`` (samples by class name), or for a regression ``mean`` and ``sd``
        of the target in its unit (None for fewer than one or two samples; sd with N - 1); of
        other tasks neither.
    """
    return [_row(samples, part, rows) for part, rows in fold.parts.items()]


def _row(samples: Samples, part: str, rows: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"part": part, "samples": len(rows)}
    for name, column in (("patients", samples.patients), ("sites", samples.sites)):
        row[name] = None if column is None else len({column[i] for i in rows} - {""})
    return row | samples.task.summary(samples.targets[rows])


def worst_imbalance(samples: Samples, fold: Fold) -> float:
    """Return how far the parts are from looking like the whole, from 0 (alike) to 1.

    For classes: the largest absolute difference between the share of a class in train, val or test
    and its share in all samples. For a number: the largest Kolmogorov-Smirnov distance, which is
    the same difference for the share of targets up to any value.
    """
    parts = [samples.targets[rows] for name, rows in fold.parts.items() if name in SPLITS]
    whole = samples.task.shares(samples.targets, samples.targets)
    found = [samples.task.shares(part, samples.targets) for part in parts if len(part)]
    return max((float(np.abs(share - whole).max()) for share in found), default=0.0)


def balance_text(samples: Samples, fold: Fold) -> str:
    """Return :func:`balance` as one line per part.

    Such as ``train 2104 samples, 180 patients: glioma 46 %, meningioma 23 %, pituitary 31 %``.
    """
    return "\n".join(_line(row, samples.task.unit) for row in balance(samples, fold))


def lone_tests(samples: Samples, folds: Sequence[Fold]) -> str:
    """Return which folds test a single patient, and what that means; empty if none does."""
    found = {
        number: fold.test
        for number, fold in enumerate(folds)
        if len({samples.owners[row] for row in fold.test.tolist()}) == 1
    }
    if not found:
        return ""
    named = [f"{number}{_site_of(samples, rows)}" for number, rows in found.items()]
    what = samples.owner_noun[:-1]
    return (
        f"a single {what} is tested in {'fold' if len(found) == 1 else 'folds'} "
        f"{first_few(named, NAMED)}, which counts in a mean over folds like any other; "
        "AUROC and correlations may have no value there"
    )


def _site_of(samples: Samples, rows: np.ndarray) -> str:
    sites = {samples.sites[row] for row in rows.tolist()} if samples.sites else set()
    return f" (site {sites.pop()})" if len(sites) == 1 and "" not in sites else ""


def _line(row: dict[str, Any], unit: str) -> str:
    counts = [
        _counted(row[name], name[:-1])
        for name in ("samples", "patients", "sites")
        if row[name] is not None
    ]
    told = ", ".join(_targets(row, unit))
    return f"{row['part']} {', '.join(counts)}{told and f': {told}'}"


def _targets(row: dict[str, Any], unit: str) -> Sequence[str]:
    if "classes" not in row and "mean" not in row:
        return []  # label maps, or no target at all
    if "classes" not in row:
        numbers = [(name, row[name]) for name in ("mean", "sd") if row[name] is not None]
        shown = [f"{name} {value:.4g}" for name, value in numbers] or ["no target"]
        return [*shown[:-1], f"{shown[-1]} ({unit})" if unit and numbers else shown[-1]]
    classes = list(row["classes"].items())
    if len(classes) > NAMED:
        classes = sorted(classes, key=lambda item: -item[1])[:NAMED]
    more = len(row["classes"]) - len(classes)
    shown = [f"{name} {_percent(count, row['samples'])}" for name, count in classes]
    return [*shown, f"and {_counted(more, 'class', 'classes')} more"] if more else shown


def _percent(count: int, of: int) -> str:
    share = 100 * count / max(1, of)
    return "<1 %" if 0 < share < 1 else f"{share:.0f} %"


def _counted(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"
