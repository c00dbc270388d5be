"""What ranks the samples by one class."""

from __future__ import annotations

import numpy as np

from mritk.evaluate.rounding import OF_LOGITS


def odds_ranks(logits: np.ndarray, k: int) -> np.ndarray:
    """Return whole numbers that rank the samples by the odds of class ``k``, (N,) float64.

    They rank as the probabilities do, but also where those round to 1, and where the odds differ by
    less than double precision tells: logits 30, 0, -30 and 30, 0, -29 are no tie. Samples whose
    odds are equal get equal numbers, whatever the order of the other classes and whatever is added
    to all logits of a sample: ranks would make another score of what rounding leaves. Logits in
    single precision are exact numbers, as a model gives them; those in double precision were
    computed (means over a patient, a temperature), so their differences are equal up to
    :data:`OF_LOGITS`. A sample with NaN has the rank NaN.
    """
    values = logits.astype(np.float64)
    others = np.delete(values, k, axis=1) - values[:, [k]]
    if logits.dtype == np.float64:
        noise = OF_LOGITS * (1 + np.abs(values).max(axis=1, keepdims=True))
        others = _tied(others, np.broadcast_to(noise, others.shape))
    others.sort(axis=1)  # sums of the same terms in the same order
    # The logarithms of exp(a), exp(a) + exp(b), …, from the least: what sums that agree in double
    # precision differ by, if their greatest terms are equal, is in the sums without these.
    with np.errstate(invalid="ignore"):
        sums = np.logaddexp.accumulate(others, axis=1)
    pairs = zip(others.T, sums.T, strict=True)
    order, differ = _ordered(sums[:, -1], [key for pair in pairs for key in pair])
    ranks = np.empty(len(values))
    ranks[order] = -np.cumsum(differ, dtype=np.float64)
    ranks[np.isnan(sums[:, -1])] = np.nan
    return ranks


def _ordered(first: np.ndarray, keys: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sort by ``keys`` (the last counts most, and is ``first``), which break few ties.

    Returns:
        The order (N,), and whether each in this order differs from the one before, (N,) bool.
    """
    order = np.argsort(first, kind="stable")
    differ = np.r_[True, np.diff(first[order]) != 0]
    tied = np.flatnonzero(~differ | ~np.r_[differ[1:], True])
    among = order[tied]
    order[tied] = among[np.lexsort([key[among] for key in keys])]
    for key in keys:
        differ[1:] |= np.diff(key[order]) != 0
    return order, differ


def _tied(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return one number for each run of neighbours within their noise, all of one shape."""
    order = np.argsort(values, axis=None, kind="stable")
    ranked, reach = values.ravel()[order], noise.ravel()[order]
    begins = np.r_[True, np.diff(ranked) > np.maximum(reach[1:], reach[:-1])]
    tied = np.empty_like(ranked)
    tied[order] = ranked[begins][np.cumsum(begins) - 1]
    return tied.reshape(values.shape)
