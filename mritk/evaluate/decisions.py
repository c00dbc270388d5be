"""Metrics of decisions, from confusion matrices: the class with the highest logit, right or wrong.

NaN where nothing stands below the line. Totals are those of the matrix: another sum of the same
weights in single precision rounds otherwise, and would set apart what is equal.
"""

from __future__ import annotations

import numpy as np

from mritk.evaluate.resamples import Resamples
from mritk.evaluate.rounding import ROUNDING


def recalls(samples: Resamples) -> np.ndarray:
    """Return the share of each class that is found, (R, classes)."""
    return _ratio(_hits(samples), samples.confusion.sum(axis=2))


def precisions(samples: Resamples) -> np.ndarray:
    """Return the share of right ones among those taken for each class (PPV), (R, classes)."""
    return _ratio(_hits(samples), samples.confusion.sum(axis=1))


def specificities(samples: Resamples) -> np.ndarray:
    """Return the share of the others not taken for each class, (R, classes)."""
    negatives, true_negatives, _ = _negatives(samples)
    return _ratio(true_negatives, negatives)


def npvs(samples: Resamples) -> np.ndarray:
    """Return the negative predictive value of each class, (R, classes)."""
    _, true_negatives, predicted_negatives = _negatives(samples)
    return _ratio(true_negatives, predicted_negatives)


def f1s(samples: Resamples) -> np.ndarray:
    """Return the F1 of each class, (R, classes): 2TP / (2TP + FP + FN).

    A class that is never predicted has precision 0/0 but F1 = 0.
    """
    confusion = samples.confusion
    return _ratio(2 * _hits(samples), confusion.sum(axis=2) + confusion.sum(axis=1))


def accuracy(samples: Resamples) -> np.ndarray:
    """Return the share of right decisions, (R,)."""
    return _ratio(_hits(samples).sum(axis=1), samples.confusion.sum(axis=(1, 2)))


def mcc(samples: Resamples) -> np.ndarray:
    """Return the correlation coefficient of classes and decisions, (R,).

    Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient,
    Comput. Biol. Chem. 28, 367–374.
    """
    confusion = samples.confusion
    true, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    total = true.sum(axis=1)
    covariance = _hits(samples).sum(axis=1) * total - (true * predicted).sum(axis=1)
    spread_true = total**2 - (true**2).sum(axis=1)
    spread_predicted = total**2 - (predicted**2).sum(axis=1)
    # What rounding leaves of 0 is no spread.
    spread = np.where(
        np.minimum(spread_true, spread_predicted) > 1e-9 * total**2,
        spread_true * spread_predicted,
        0.0,
    )
    return _ratio(covariance, np.sqrt(spread))


def kappa(samples: Resamples) -> np.ndarray:
    """Return the agreement of classes and decisions beyond chance, (R,)."""
    confusion = samples.confusion
    true, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    total = true.sum(axis=1)
    by_chance = _ratio((true * predicted).sum(axis=1), total)
    beyond = total - by_chance
    beyond = np.where(beyond > 1e-9 * total, beyond, 0.0)
    return _ratio(_hits(samples).sum(axis=1) - by_chance, beyond)


def _hits(samples: Resamples) -> np.ndarray:
    return np.diagonal(samples.confusion, axis1=1, axis2=2)


def _negatives(samples: Resamples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, per class, the weight of negatives, true negatives and negative predictions."""
    confusion = samples.confusion
    total = confusion.sum(axis=(1, 2))[:, None]
    true, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    found = total - true, total - true - predicted + _hits(samples), total - predicted
    # What rounding leaves of 0 is nothing.
    negatives, true_negatives, taken = (np.where(w > ROUNDING * total, w, 0.0) for w in found)
    return negatives, true_negatives, taken


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the quotient; NaN where nothing stands below."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
