"""Values that are the same but for rounding: their spread is none, and tells nothing."""

from __future__ import annotations

import math

import numpy as np

# What only rounding sets apart, relative to the size of the values. In double precision:
ROUNDING = 1e-12
# Logits that were computed in it:
OF_LOGITS = 64 * np.finfo(np.float64).eps
# Weighted sums in single precision, as those of resamples are:
SINGLE_PRECISION = 1e-6
# Differences of two such sums over the same samples:
OF_DIFFERENCES = 1e-5
DIGITS = round(-math.log10(ROUNDING))


def one_value(values: np.ndarray) -> bool:
    """Return whether values, (N,), are all the same."""
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def subtracted(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return ``one - other``, (N,), exactly 0 where the two are the same."""
    found = one - other
    same = np.abs(found) <= ROUNDING * np.maximum(np.abs(one), np.abs(other))
    return np.asarray(np.where(same, 0.0, found))


def rounded(values: np.ndarray) -> np.ndarray:
    """Return values, (…, N), so that those which are the same are equal, and tie as ranks."""
    size = np.abs(values).max(axis=-1, keepdims=True)
    size = np.where(size > 0, size, 1.0)
    return np.asarray(np.round(values / size, DIGITS) * size)
