"""McNemar's exact test: do two classifiers err equally often on the same samples?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from mritk.evaluate.difference import Difference
from mritk.evaluate.interval import Interval


def mcnemar(
    first: np.ndarray, second: np.ndarray, unit: Sequence[Hashable] | None = None
) -> Difference:
    """Test whether two classifiers are equally accurate, by the samples on which one is right.

    If they are, each such sample is a fair coin: b of b + c is binomial with probability 1/2.
    McNemar 1947, Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 12, 153–157. Interval: Agresti & Min 2005, Simple improved
    confidence intervals for comparing matched proportions, Stat. Med. 24, 729–740: that of Wald
    with 1/2 added to each of the four cells.

    The interval approximates, while p is exact, so that the two may disagree at the edge.

    Args:
        first: (N,) bool, which samples the first classifier gets right.
        second: (N,) bool, the same of the second.
        unit: N names of what each sample belongs to; None: all are independent. Several samples
            of one unit are no independent coins, so there is no p then.

    Raises:
        ValueError: The two are not of one length, or not bool.
    """
    if (
        first.shape != second.shape
        or first.ndim != 1
        or {first.dtype, second.dtype} != {np.dtype(bool)}
    ):
        raise ValueError("mcnemar takes two bool vectors of equal length: correct or not")
    samples = len(first)
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    difference = (b - c) / samples if samples else math.nan
    reason = "no samples" if not samples else clustered(unit)
    if reason:
        return Difference.untested(difference, reason)
    return Difference(difference, _interval(b, c, samples), _p(b, c))


def clustered(unit: Sequence[Hashable] | None) -> str:
    """Return why samples are not independent, or nothing if they are."""
    if unit is None or len(set(unit)) == len(unit):
        return ""
    units = len(set(unit))
    s = "" if units == 1 else "s"
    return (
        f"{len(unit)} test samples are of {units} patient{s} (or duplicate group{s}) and not "
        "independent"
    )


def _p(b: int, c: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0


def _interval(b: int, c: int, samples: int) -> Interval:
    total, minus, plus = samples + 2, b - c, b + c + 1
    middle = minus / total
    error = math.sqrt(plus - minus**2 / total) / total
    return Interval.around(middle, error, bounds=(-1.0, 1.0))
