"""Calibration: do probabilities say how often they are right?

Probabilities are sorted into 15 bins of equal width; the calibration error is the mean over bins,
weighted by what is in them, of |mean probability - share that is right|: for the probability of
the decision (Guo et al. 2017, On calibration of modern neural networks, equation 3), and class by
class (Kull et al. 2019, Beyond temperature scaling, equation 5). scikit-learn has no such number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk.evaluate.resamples import Resamples

BINS = 15
SMALLEST_LOG = -745.0


def probabilities_of(scores: np.ndarray) -> np.ndarray:
    """Return the probabilities (N, classes) float64 of logits."""
    from scipy.special import softmax

    return np.asarray(softmax(scores.astype(np.float64), axis=1))


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Return logarithms (N, classes) float64 of probabilities, which are logits of them.

    A probability that rounds to 0 is the smallest there is, not none: metrics need numbers.
    """
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(probabilities), SMALLEST_LOG)


def one_hot(targets: np.ndarray, classes: int) -> np.ndarray:
    """Return (N, classes) float64 with a 1 at the class of each sample."""
    table = np.zeros((len(targets), classes))
    table[np.arange(len(targets)), targets] = 1
    return table


def bin_of(probability: np.ndarray) -> np.ndarray:
    """Return the bin of each probability, int64 of the same shape; 1 is in the last one."""
    return np.minimum((probability * BINS).astype(np.int64), BINS - 1)


@dataclass(frozen=True, eq=False)
class Reliability:
    """What a reliability diagram shows, bin by bin; NaN where a bin is empty.

    Attributes:
        edges: (bins + 1,) edges of the bins.
        count: (bins,) number of samples.
        confidence: (bins,) mean probability.
        accuracy: (bins,) share that is right.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The calibration error."""
        some = self.count > 0
        gaps = np.abs(self.confidence[some] - self.accuracy[some])
        return float(np.average(gaps, weights=self.count[some]))


def reliability(targets: np.ndarray, scores: np.ndarray) -> Reliability:
    """Return the reliability data of decisions, from class indices (N,) and logits (N, classes)."""
    probability, right = _claims(targets, scores)
    bins = bin_of(probability)
    count = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bins, probability, BINS) / count
        accuracy = np.bincount(bins, right, BINS) / count
    return Reliability(np.linspace(0, 1, BINS + 1), count, confidence, accuracy)


def _claims(
    targets: np.ndarray, scores: np.ndarray, k: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is claimed with which probability (N,), and whether it is right (N,).

    The claim is the class that is decided for, or class ``k``.
    """
    probabilities = probabilities_of(scores)
    if k is not None:
        return probabilities[:, k], (targets == k).astype(np.float64)
    decided = scores.argmax(axis=1)
    return probabilities.max(axis=1), (decided == targets).astype(np.float64)


def gap(samples: Resamples, k: int | None = None) -> np.ndarray:
    """Return the calibration error of the decisions, or of the probability of ``k``, (R,)."""
    probability, right = _claims(samples.targets, samples.scores, k)
    excess = np.zeros((len(probability), BINS))
    excess[np.arange(len(probability)), bin_of(probability)] = probability - right
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(samples.sums(excess)).sum(axis=1) / samples.total


def class_wise_gaps(samples: Resamples) -> np.ndarray:
    """Return the calibration error of the probabilities of each class, (R, classes)."""
    return np.stack([gap(samples, k) for k in range(samples.scores.shape[1])], axis=1)
