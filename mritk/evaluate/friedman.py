"""Friedman's test with Nemenyi's post-hoc test: several backbones on several datasets.

Demšar 2006, Statistical comparisons of classifiers over multiple data sets, J. Mach. Learn. Res.
7, 1–30, section 3.2.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mritk.errors import import_extra
from mritk.evaluate.interval import LEVEL

LEAST_DATASETS = 5
LEAST_ROWS = 3


@dataclass(frozen=True, eq=False)
class Friedman:
    """B rows ranked on D datasets.

    Attributes:
        ranks: (B,) average ranks, 1 the best; equal scores share their ranks.
        chi_squared: Friedman's statistic, corrected for ties.
        p_chi_squared: Its p, from χ² with B - 1 degrees of freedom.
        f: The statistic of Iman and Davenport, which is less conservative.
        p: Its p, from F with B - 1 and (B - 1)(D - 1) degrees of freedom.
        reason: Why there is no test (NaN), or empty.
    """

    ranks: np.ndarray
    chi_squared: float
    p_chi_squared: float
    f: float
    p: float
    reason: str = ""


def friedman(scores: np.ndarray, *, higher_is_better: bool = True) -> Friedman:
    """Test whether B rows do equally well on D datasets.

    ``F = (D - 1) χ² / (D (B - 1) - χ²)``: Iman & Davenport 1980, Approximations of the critical
    region of the Friedman statistic, Commun. Stat. A 9, 571–595. Demšar asks for D > 10 and B > 5
    for χ²; F serves for fewer rows, is liberal for fewer datasets, and below 5 datasets or 3 rows
    nothing is tested.

    Args:
        scores: (D, B), one score per dataset and row.
        higher_is_better: Direction of the metric.

    Raises:
        ValueError: The scores are no matrix.
    """
    from scipy.stats import f as fisher
    from scipy.stats import friedmanchisquare

    if scores.ndim != 2:
        raise ValueError(f"friedman takes scores (datasets, rows), not {scores.shape}")
    datasets, rows = scores.shape
    ranks = average_ranks(scores, higher_is_better=higher_is_better)
    if reason := _reason(scores):
        return Friedman(ranks, math.nan, math.nan, math.nan, math.nan, reason)
    found = friedmanchisquare(*scores.T)
    chi_squared = float(found.statistic)
    left = datasets * (rows - 1) - chi_squared
    # All datasets rank alike: nothing is left, but for rounding.
    statistic = (datasets - 1) * chi_squared / left if left > 1e-9 else math.inf
    p = float(fisher.sf(statistic, rows - 1, (rows - 1) * (datasets - 1)))
    return Friedman(ranks, chi_squared, float(found.pvalue), statistic, p)


def average_ranks(scores: np.ndarray, *, higher_is_better: bool = True) -> np.ndarray:
    """Return the mean rank (B,) of each row over D datasets, 1 the best; scores (D, B)."""
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(-scores if higher_is_better else scores, axis=1)
    return ranks.mean(axis=0)


def nemenyi(scores: np.ndarray) -> np.ndarray:
    """Return the p-values (B, B) of all pairs, already corrected for their number.

    Nemenyi 1963, Distribution-free multiple comparisons, by scikit-posthocs. They mean something
    where Friedman's test rejects.

    Args:
        scores: (D, B), one score per dataset and row.

    Raises:
        Unavailable: scikit-posthocs is not installed.
    """
    posthocs = import_extra(
        "scikit_posthocs", "Nemenyi's test over datasets needs scikit-posthocs", extra="stats"
    )
    return np.asarray(posthocs.posthoc_nemenyi_friedman(scores), dtype=np.float64)


def critical_difference(datasets: int, rows: int) -> float:
    """Return how far apart average ranks of B rows on D datasets must lie to differ at 5 %.

    It is ``q √(B (B + 1) / (6 D))``.
    """
    from scipy.stats import studentized_range

    quantile = studentized_range.ppf(LEVEL, rows, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(rows * (rows + 1) / (6 * datasets)))


def _reason(scores: np.ndarray) -> str:
    datasets, rows = scores.shape
    if datasets < LEAST_DATASETS:
        return f"a test over datasets requires at least {LEAST_DATASETS}; there are {datasets}"
    if rows < LEAST_ROWS:
        return f"Friedman's test requires at least {LEAST_ROWS} rows; there are {rows}"
    if not np.isfinite(scores).all():
        return "some rows have no score on some datasets"
    if (np.ptp(scores, axis=1) == 0).all():
        return "all rows have equal scores on every dataset"
    return ""
