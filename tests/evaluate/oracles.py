"""Every metric by another hand: scikit-learn with weights, SciPy, or the formula as written.

Each takes targets (N,), scores and weights (N,) above 0, and returns NaN where there is no value.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax
from sklearn import metrics as sk


def per_class(score, *, of_rest=False, ranked=False):
    """Mean over classes of what ``score`` says of the class against the rest, or of the rest."""

    def mean(targets, scores, weights):
        classes, found = scores.shape[1], []
        if set(targets) != set(range(classes)):
            return np.nan
        for k in range(classes):
            said = odds(scores, k) if ranked else scores.argmax(1) == k
            truth = targets == k
            if of_rest:
                truth, said = ~truth, ~said
            found.append(score(truth, said, sample_weight=weights))
        return np.mean(found)

    return mean


def odds(scores, k):
    """Logarithms of the odds of class k, equal where only rounding sets them apart."""
    return np.round(scores[:, k] - logsumexp(np.delete(scores.astype(float), k, 1), axis=1), 9)


def probabilities(scores):
    return softmax(scores.astype(float), axis=1)


def shares(score, zero_division=np.nan):
    """A score of scikit-learn that is a ratio, which may be 0 / 0."""
    return lambda *pair, **weights: score(*pair, zero_division=zero_division, **weights)


def mcc(targets, scores, weights):
    said = scores.argmax(1)
    alone = min(len(set(targets)), len(set(said))) == 1
    return np.nan if alone else sk.matthews_corrcoef(targets, said, sample_weight=weights)


def kappa(targets, scores, weights):
    said = scores.argmax(1)
    alone = len({*targets, *said}) == 1
    return np.nan if alone else sk.cohen_kappa_score(targets, said, sample_weight=weights)


def in_bins(probability, right, weights):
    """The calibration error, bin by bin as the formula is written."""
    total = 0.0
    for low in np.arange(15):
        inside = np.minimum((probability * 15).astype(int), 14) == low
        if inside.any():
            gap = np.average((probability - right)[inside], weights=weights[inside])
            total += weights[inside].sum() / weights.sum() * abs(gap)
    return total


def class_wise(targets, scores, weights):
    if len(set(targets)) < scores.shape[1]:
        return np.nan
    claimed = enumerate(probabilities(scores).T)
    return np.mean([in_bins(probability, targets == k, weights) for k, probability in claimed])


def brier(targets, scores, weights):
    errors = probabilities(scores) - np.eye(scores.shape[1])[targets]
    return np.average(np.sum(errors**2, axis=1), weights=weights)


def pearson(targets, scores, weights):
    if np.ptp(targets) == 0 or np.ptp(scores) == 0:
        return np.nan
    (of_x, both), (_, of_y) = np.cov(targets, scores.astype(float), aweights=weights, ddof=0)
    return both / np.sqrt(of_x * of_y)


def r2(targets, scores, weights):
    alone = np.ptp(targets) == 0
    return np.nan if alone else sk.r2_score(targets, scores, sample_weight=weights)


def log_loss(targets, scores, weights):
    logs = log_softmax(scores.astype(float), axis=1)
    return -np.average(logs[np.arange(len(targets)), targets], weights=weights)


ORACLES = {
    "balanced_accuracy": per_class(shares(sk.recall_score)),
    "macro_auroc": per_class(sk.roc_auc_score, ranked=True),
    "mcc": mcc,
    "macro_f1": per_class(shares(sk.f1_score, 0.0)),
    "accuracy": lambda t, s, w: sk.accuracy_score(t, s.argmax(1), sample_weight=w),
    "log_loss": log_loss,
    "macro_auprc": per_class(sk.average_precision_score, ranked=True),
    "macro_specificity": per_class(shares(sk.recall_score), of_rest=True),
    "macro_ppv": per_class(shares(sk.precision_score)),
    "macro_npv": per_class(shares(sk.precision_score), of_rest=True),
    "kappa": kappa,
    "brier": brier,
    "ece": lambda t, s, w: in_bins(probabilities(s).max(1), s.argmax(1) == t, w),
    "class_wise_ece": class_wise,
    "mae": lambda t, s, w: sk.mean_absolute_error(t, s, sample_weight=w),
    "rmse": lambda t, s, w: sk.root_mean_squared_error(t, s, sample_weight=w),
    "r2": r2,
    "pearson_r": pearson,
    "bias": lambda t, s, w: np.average(s.astype(float) - t, weights=w),
}
