"""One temperature that makes probabilities honest (Guo et al. 2017, section 4.2)."""

from __future__ import annotations

import numpy as np

from mritk.evaluate.metric import Undefined

COLDEST, HOTTEST = 0.1, 10.0
# How many samples a prior of temperature 1 counts for.
PRIOR = 1.0


def fit_temperature(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return the temperature by which logits are to be divided.

    It minimises the log loss between 0.1 and 10, with a penalty log² T of the weight of one sample:
    a normal prior around log T = 0.

    Args:
        targets: (N,) class indices of samples that are not the ones to be judged.
        scores: (N, classes) logits.

    Raises:
        Undefined: All samples are right (or all wrong, or there are none), so that the prior would
            decide more than they do; or some logits are NaN or infinite.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if not np.isfinite(scores).all():
        raise Undefined("some validation scores are NaN or infinite, so no temperature fits them")
    right = int((scores.argmax(axis=1) == targets).sum())
    if right in (0, len(targets)):
        said = "all" if right else "none"
        raise Undefined(
            f"{said} of the {len(targets)} validation samples are correct, which determines no "
            "temperature; use more validation samples"
        )
    logits, rows = scores.astype(np.float64), np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        chosen = log_softmax(logits / np.exp(log_temperature), axis=1)[rows, targets]
        return float(-chosen.sum() + PRIOR * log_temperature**2)

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def calibrated(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return logits (N, classes) float64 divided by the temperature; decisions stay."""
    return scores.astype(np.float64) / temperature
