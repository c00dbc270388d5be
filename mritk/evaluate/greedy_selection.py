"""Which models an ensemble is made of: forward selection with replacement.

Caruana, Niculescu-Mizil, Crew and Ksikes 2004, Ensemble selection from libraries of models, ICML:
the model that lowers the loss of the mean most is added again and again. Of all ensembles on the
way, the best one is taken, and of equally good ones the smallest.
"""

from __future__ import annotations

import numpy as np

from mritk.evaluate.calibration import probabilities_of
from mritk.evaluate.metric import Undefined

STEPS = 50
# An improvement that is smaller is rounding.
LEAST_GAIN = 1e-12


def greedy_weights(targets: np.ndarray, scores: list[np.ndarray]) -> np.ndarray:
    """Return the weights of M models, (M,) float64 with sum 1; 0 for models that are not chosen.

    Args:
        targets: (N,) class indices or values of samples that no model was trained on and that none
            is tested on.
        scores: Of each model (N, classes) logits, by log loss; or (N,) values, by squared error.

    Raises:
        Undefined: There is no sample, or some score is not finite.
    """
    if not len(targets):
        raise Undefined("there is no validation sample that all of them have")
    if not all(np.isfinite(score).all() for score in scores):
        raise Undefined("some validation scores are NaN or infinite")
    of_classes = scores[0].ndim == 2
    rows = np.arange(len(targets))
    # Of classes, the loss needs nothing but the probability of the true one.
    predicted = np.stack(
        [
            probabilities_of(score)[rows, targets] if of_classes else score.astype(np.float64)
            for score in scores
        ]
    )
    total = np.zeros(len(targets))
    counts = np.zeros(len(scores))
    best, least = counts, np.inf
    for step in range(1, STEPS + 1):
        mean = (total + predicted) / step
        if of_classes:
            losses = -np.log(np.maximum(mean, np.finfo(np.float64).tiny))
        else:
            losses = np.square(mean - targets)
        found = losses.mean(axis=1)
        chosen = int(found.argmin())
        total, counts = total + predicted[chosen], counts.copy()
        counts[chosen] += 1
        if found[chosen] < least - LEAST_GAIN:
            best, least = counts, float(found[chosen])
    return np.asarray(best / best.sum())
