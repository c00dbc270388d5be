"""Holm's correction for several comparisons."""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """Return adjusted p-values, (M,), of a family; below a level with that chance of a false one.

    NaN stays NaN and is not counted. Holm 1979, A simple sequentially rejective multiple test
    procedure, Scand. J. Stat. 6, 65–70.
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return adjusted
