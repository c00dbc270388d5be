"""One temperature that makes probabilities honest (Guo et al. 2017, section 4.2)."""

from __future__ import annotations

import numpy as np

COLDEST, HOTTEST = 0.01, 100.0


def fit_temperature(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return the temperature by which logits are to be divided.

    It minimises the log loss, which is convex in 1 / temperature, between 0.01 and 100; where all
    is right (or wrong) the minimum lies at that end.

    Args:
        targets: (N,) class indices of samples that are not the ones to be judged.
        scores: (N, classes) logits.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits, rows = scores.astype(np.float64), np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        chosen = log_softmax(logits / np.exp(log_temperature), axis=1)[rows, targets]
        return float(-chosen.mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def calibrated(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return logits (N, classes) float64 divided by the temperature; decisions stay."""
    return scores.astype(np.float64) / temperature
