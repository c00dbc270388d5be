"""What ranks the samples by one class."""

from __future__ import annotations

import numpy as np

# Log odds of computed scores that are nearer than this, relative to the scores, are equal.
ROUNDING = 64 * np.finfo(np.float64).eps


def log_odds(logits: np.ndarray, k: int) -> np.ndarray:
    """Return the log odds of class ``k`` against all others, (N,) float64.

    They rank as the probabilities do, but also where those round to 1. Samples whose odds are equal
    get equal numbers, to the last bit, whatever the order of the other classes and whatever is
    added to all logits of a sample: ranks would make another score of what rounding leaves.
    Logits in single precision are exact numbers, as a model gives them; those in double precision
    were computed (means over a patient, a temperature), so they are equal up to :data:`ROUNDING`.
    """
    from scipy.special import logsumexp

    values = logits.astype(np.float64)
    others = np.delete(values, k, axis=1) - values[:, [k]]
    others.sort(axis=1)  # sums of the same terms in the same order
    odds: np.ndarray = -logsumexp(others, axis=1)
    if logits.dtype != np.float64:
        return odds
    return _tied(odds, ROUNDING * (1 + np.abs(values).max(axis=1)))


def _tied(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the values (N,) with one number for each run of neighbours within their noise (N,)."""
    order = np.argsort(values, kind="stable")
    ranked, reach = values[order], noise[order]
    begins = np.r_[True, np.diff(ranked) > np.maximum(reach[1:], reach[:-1])]
    tied = np.empty_like(values)
    tied[order] = ranked[begins][np.cumsum(begins) - 1]
    return tied
