"""Metrics of a classification. scikit-learn computes their values.

Beside each stands its form for many weightings at once (:mod:`mritk.evaluate.resamples`), which
tests hold against scikit-learn with ``sample_weight``.
"""

from __future__ import annotations

import numpy as np

from mritk.evaluate.calibration import (
    class_wise_gaps,
    class_wise_gaps_resampled,
    gap,
    gap_resampled,
    one_hot,
    probabilities_of,
)
from mritk.evaluate.decisions import (
    accuracy,
    accuracy_resampled,
    f1s,
    f1s_resampled,
    kappa,
    kappa_resampled,
    mcc,
    mcc_resampled,
    npvs,
    npvs_resampled,
    precisions,
    precisions_resampled,
    recalls,
    recalls_resampled,
    specificities,
    specificities_resampled,
)
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.ranks import odds_ranks

# -- ranks -----------------------------------------------------------------------------------------


def _aurocs(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the AUROC of each class against the rest; NaN for a class without samples."""
    from sklearn.metrics import roc_auc_score

    found = np.full(scores.shape[1], np.nan)
    for k in _ranked_classes(targets, weights):
        found[k] = roc_auc_score(targets == k, odds_ranks(scores, k), sample_weight=weights)
    return found


def _average_precisions(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the average precision of each class against the rest."""
    from sklearn.metrics import average_precision_score

    found = np.full(scores.shape[1], np.nan)
    for k in _ranked_classes(targets, weights):
        odds = odds_ranks(scores, k)
        found[k] = average_precision_score(targets == k, odds, sample_weight=weights)
    return found


def _ranked_classes(targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    present = np.unique(targets[weights > 0])
    if len(present) == 1:
        raise Undefined("all samples are of one class")
    return present


# -- probabilities -----------------------------------------------------------------------------


def _log_loss(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    # scikit-learn's log_loss takes probabilities, which round to 0 and 1 where logits do not.
    return float(np.average(_losses(targets, scores), weights=weights))


def _losses(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    from scipy.special import log_softmax

    log_probabilities = log_softmax(scores.astype(np.float64), axis=1)
    losses: np.ndarray = -log_probabilities[np.arange(len(targets)), targets]
    return losses


def _brier(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(_squares(targets, scores), weights=weights))


def _squares(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the sum over classes of squared errors, (N,): Brier 1950, between 0 and 2."""
    errors = probabilities_of(scores) - one_hot(targets, scores.shape[1])
    squares: np.ndarray = np.square(errors).sum(axis=1)
    return squares


# On a finite sample even probabilities that are right miss in each bin, and absolute values add up.
ABSOLUTE = (
    "calibration errors are biased upwards on finite samples, so no interval is valid; log loss "
    "and Brier have one"
)
UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)
POSITIVE = (0.0, float("inf"))

# The first six are the columns of a leaderboard, and the first of them sorts it.
CLASSIFICATION = (
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        True,
        recalls,
        per_class=True,
        bounds=UNIT,
        resampled=recalls_resampled,
        summary="mean sensitivity (recall) over classes",
    ),
    Metric(
        "macro_auroc",
        "macro AUROC",
        True,
        _aurocs,
        per_class=True,
        bounds=UNIT,
        resampled=lambda resamples: resamples.ranked[0],
        summary="mean one-vs-rest area under the ROC curve over classes",
    ),
    Metric(
        "mcc",
        "MCC",
        True,
        mcc,
        bounds=SIGNED,
        resampled=mcc_resampled,
        summary="Matthews correlation coefficient of classes and decisions",
    ),
    Metric(
        "macro_f1",
        "macro F1",
        True,
        f1s,
        per_class=True,
        bounds=UNIT,
        resampled=f1s_resampled,
        summary="mean over classes of the harmonic mean of sensitivity and PPV",
    ),
    Metric(
        "accuracy",
        "accuracy",
        True,
        accuracy,
        bounds=UNIT,
        resampled=accuracy_resampled,
        summary="proportion of correct decisions",
    ),
    Metric(
        "log_loss",
        "log loss",
        False,
        _log_loss,
        bounds=POSITIVE,
        resampled=lambda r: r.mean(_losses(r.targets, r.scores)),
        summary="mean negative log likelihood of the true class (NLL), in nats",
    ),
    Metric(
        "macro_auprc",
        "macro AUPRC",
        True,
        _average_precisions,
        per_class=True,
        bounds=UNIT,
        resampled=lambda resamples: resamples.ranked[1],
        summary="mean one-vs-rest average precision over classes",
    ),
    Metric(
        "macro_specificity",
        "macro specificity",
        True,
        specificities,
        per_class=True,
        bounds=UNIT,
        resampled=specificities_resampled,
        summary="mean specificity over classes",
    ),
    Metric(
        "macro_ppv",
        "macro PPV",
        True,
        precisions,
        per_class=True,
        bounds=UNIT,
        resampled=precisions_resampled,
        summary="mean positive predictive value (precision) over classes",
    ),
    Metric(
        "macro_npv",
        "macro NPV",
        True,
        npvs,
        per_class=True,
        bounds=UNIT,
        resampled=npvs_resampled,
        summary="mean negative predictive value over classes",
    ),
    Metric(
        "kappa",
        "Cohen's κ",
        True,
        kappa,
        bounds=SIGNED,
        resampled=kappa_resampled,
        summary="agreement of classes and decisions beyond chance",
    ),
    Metric(
        "brier",
        "Brier",
        False,
        _brier,
        bounds=(0.0, 2.0),
        resampled=lambda r: r.mean(_squares(r.targets, r.scores)),
        summary="mean squared error of the probabilities, summed over classes",
    ),
    Metric(
        "ece",
        "ECE",
        False,
        gap,
        bounds=UNIT,
        no_interval=ABSOLUTE,
        resampled=gap_resampled,
        summary="expected calibration error of the decision, 15 equal bins of confidence",
    ),
    Metric(
        "class_wise_ece",
        "class-wise ECE",
        False,
        class_wise_gaps,
        per_class=True,
        bounds=UNIT,
        no_interval=ABSOLUTE,
        resampled=class_wise_gaps_resampled,
        summary="mean over classes of the calibration error of their probabilities, 15 equal bins",
    ),
)
SHOWN = CLASSIFICATION[:6]
