"""Metrics of decisions: the class with the highest logit, right or wrong.

Each has two forms: for one weighting, by scikit-learn, and for many at once, from the confusion
matrices of all resamples.
"""

from __future__ import annotations

import numpy as np

from mritk.evaluate.metric import Undefined
from mritk.evaluate.resamples import Resamples


def recalls(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of each class that is found, (classes,)."""
    from sklearn.metrics import recall_score

    return np.asarray(
        recall_score(
            targets,
            scores.argmax(axis=1),
            labels=np.arange(scores.shape[1]),
            average=None,
            sample_weight=weights,
            zero_division=np.nan,
        )
    )


def recalls_resampled(resamples: Resamples) -> np.ndarray:
    """Return the same in each resample, (R, classes)."""
    return _ratio(_hits(resamples), resamples.confusion.sum(axis=2))


def precisions(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of right ones among those taken for each class (PPV), (classes,)."""
    from sklearn.metrics import precision_score

    predicted = scores.argmax(axis=1)
    never = np.setdiff1d(np.unique(targets), np.unique(predicted[weights > 0]))
    if len(never):
        raise Undefined(f"class number {never[0]} is never predicted")
    return np.asarray(
        precision_score(
            targets,
            predicted,
            labels=np.arange(scores.shape[1]),
            average=None,
            sample_weight=weights,
            zero_division=np.nan,
        )
    )


def precisions_resampled(resamples: Resamples) -> np.ndarray:
    """Return the same in each resample, (R, classes)."""
    return _ratio(_hits(resamples), resamples.confusion.sum(axis=1))


def specificities(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of the others not taken for each class, (classes,)."""
    return _of_rest(targets, scores, weights, by_prediction=False)


def specificities_resampled(resamples: Resamples) -> np.ndarray:
    """Return the same in each resample, (R, classes)."""
    negatives, true_negatives, _ = _negatives(resamples.confusion)
    return _ratio(true_negatives, negatives)


def npvs(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the negative predictive value of each class, (classes,)."""
    return _of_rest(targets, scores, weights, by_prediction=True)


def npvs_resampled(resamples: Resamples) -> np.ndarray:
    """Return the same in each resample, (R, classes)."""
    _, true_negatives, predicted_negatives = _negatives(resamples.confusion)
    return _ratio(true_negatives, predicted_negatives)


def _of_rest(
    targets: np.ndarray, scores: np.ndarray, weights: np.ndarray, *, by_prediction: bool
) -> np.ndarray:
    """Return specificity, or negative predictive value, of each class: the recall of the rest."""
    from sklearn.metrics import multilabel_confusion_matrix

    found = multilabel_confusion_matrix(
        targets,
        scores.argmax(axis=1),
        labels=np.arange(scores.shape[1]),
        sample_weight=weights,
    ).astype(np.float64)
    others = found[:, 1, 0] if by_prediction else found[:, 0, 1]
    values = _ratio(found[:, 0, 0], found[:, 0, 0] + others)
    if np.isnan(values).any():
        raise Undefined("all targets and all predictions are of one class")
    return values


def f1s(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the F1 of each class, (classes,)."""
    from sklearn.metrics import f1_score

    # A class that is never predicted has precision 0/0 but F1 = 0 by 2TP / (2TP + FP + FN).
    return np.asarray(
        f1_score(
            targets,
            scores.argmax(axis=1),
            labels=np.arange(scores.shape[1]),
            average=None,
            sample_weight=weights,
            zero_division=0.0,
        )
    )


def f1s_resampled(resamples: Resamples) -> np.ndarray:
    """Return the same in each resample, (R, classes)."""
    confusion = resamples.confusion
    values = _ratio(2 * _hits(resamples), confusion.sum(axis=2) + confusion.sum(axis=1))
    return np.where(confusion.sum(axis=2) > 0, values, np.nan)


def accuracy(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Return the share of right decisions."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(targets, scores.argmax(axis=1), sample_weight=weights))


def accuracy_resampled(resamples: Resamples) -> np.ndarray:
    """Return the same in each resample, (R,)."""
    return _ratio(_hits(resamples).sum(axis=1), resamples.total)


def mcc(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Return the correlation coefficient of classes and decisions."""
    from sklearn.metrics import matthews_corrcoef

    predicted, some = scores.argmax(axis=1), weights > 0
    if len(np.unique(targets[some])) == 1 or len(np.unique(predicted[some])) == 1:
        raise Undefined("all targets or all predictions are of one class")
    return float(matthews_corrcoef(targets, predicted, sample_weight=weights))


def mcc_resampled(resamples: Resamples) -> np.ndarray:
    """Gorodkin 2004, Comparing two K-category assignments by a K-category correlation."""
    confusion = resamples.confusion
    true, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    total = true.sum(axis=1)
    covariance = _hits(resamples).sum(axis=1) * total - (true * predicted).sum(axis=1)
    spread_true = total**2 - (true**2).sum(axis=1)
    spread_predicted = total**2 - (predicted**2).sum(axis=1)
    # What rounding leaves of 0 is no spread.
    spread = np.where(
        np.minimum(spread_true, spread_predicted) > 1e-9 * total**2,
        spread_true * spread_predicted,
        0.0,
    )
    return _ratio(covariance, np.sqrt(spread))


def kappa(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Return the agreement of classes and decisions beyond chance."""
    from sklearn.metrics import cohen_kappa_score

    predicted, some = scores.argmax(axis=1), weights > 0
    if len(np.unique(np.concatenate([targets[some], predicted[some]]))) == 1:
        raise Undefined("all targets and all predictions are of one class")
    return float(cohen_kappa_score(targets, predicted, sample_weight=weights))


def kappa_resampled(resamples: Resamples) -> np.ndarray:
    """Return the same in each resample, (R,)."""
    confusion = resamples.confusion
    total = resamples.total
    true, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    by_chance = (true * predicted).sum(axis=1) / total
    beyond = total - by_chance
    beyond = np.where(beyond > 1e-9 * total, beyond, 0.0)
    return _ratio(_hits(resamples).sum(axis=1) - by_chance, beyond)


def _hits(resamples: Resamples) -> np.ndarray:
    return np.diagonal(resamples.confusion, axis1=1, axis2=2)


def _negatives(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, per class, the weight of negatives, true negatives and negative predictions."""
    total = confusion.sum(axis=(1, 2))[:, None]
    true, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    return total - true, total - true - predicted + hits, total - predicted


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the quotient; NaN where nothing stands below."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
