"""What ranks the samples by one class."""

from __future__ import annotations

import numpy as np


def log_odds(logits: np.ndarray, k: int) -> np.ndarray:
    """Return the log odds of class ``k`` against all others, (N,) float64.

    They rank as the probabilities do, but also where those round to 1.
    """
    from scipy.special import logsumexp

    values = logits.astype(np.float64)
    odds: np.ndarray = values[:, k] - logsumexp(np.delete(values, k, axis=1), axis=1)
    return odds
