"""The mixture of what several models predict: the prediction of an ensemble.

Of classes it is the mean of probabilities, of values the mean; its variance is that within the
models and that between them (the law of total variance).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk.evaluate.calibration import logits_of, probabilities_of


def equal_weights(members: int) -> np.ndarray:
    """Return the weights (members,) of a plain mean."""
    return np.full(members, 1 / members)


def mixed_scores(scores: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return the scores of the mixture in float64.

    Args:
        scores: Of each of M models (N, classes) logits, or (N,) values.
        weights: (M,) float64 weights with sum 1.

    Returns:
        (N, classes) logarithms of the mean probabilities, which are logits of them; or (N,) means.
    """
    if scores[0].ndim == 1:
        return _mean(scores, weights)
    return logits_of(_mean([probabilities_of(score) for score in scores], weights))


def mixed_spread(
    means: Sequence[np.ndarray], spreads: Sequence[np.ndarray], weights: np.ndarray
) -> np.ndarray:
    """Return the standard deviation of the mixture, (N,) float64.

    Args:
        means: Of each of M models (N,) values.
        spreads: Of each (N,) standard deviations.
        weights: (M,) float64 weights with sum 1.
    """
    centre = _mean(means, weights)
    within = _mean([np.square(spread.astype(np.float64)) for spread in spreads], weights)
    between = _mean([np.square(mean.astype(np.float64) - centre) for mean in means], weights)
    return np.sqrt(within + between)


def _mean(values: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    return np.tensordot(weights, np.stack([value.astype(np.float64) for value in values]), axes=1)
