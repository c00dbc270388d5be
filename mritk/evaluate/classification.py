"""Metrics of a classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from mritk.evaluate.calibration import class_wise_gaps, gap, one_hot, probabilities_of
from mritk.evaluate.decisions import (
    accuracy,
    f1s,
    kappa,
    mcc,
    npvs,
    precisions,
    recalls,
    specificities,
)
from mritk.evaluate.interval import POSITIVE
from mritk.evaluate.metric import Metric
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.weighted import Form, weighted


def aurocs(samples: Resamples) -> np.ndarray:
    """Return the AUROC of each class against the rest, (R, classes)."""
    return samples.ranked[0]


def average_precisions(samples: Resamples) -> np.ndarray:
    """Return the average precision of each class against the rest, (R, classes)."""
    return samples.ranked[1]


def log_losses(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the negative log likelihood of each sample's class, (N,), from logits.

    Probabilities round to 0 and 1 where logits do not.
    """
    from scipy.special import log_softmax

    log_probabilities = log_softmax(scores.astype(np.float64), axis=1)
    losses: np.ndarray = -log_probabilities[np.arange(len(targets)), targets]
    return losses


def _log_loss(samples: Resamples) -> np.ndarray:
    return samples.mean(log_losses(samples.targets, samples.scores))


def _brier(samples: Resamples) -> np.ndarray:
    """Return the mean over samples of squared errors, summed over classes: Brier 1950, 0 to 2."""
    errors = probabilities_of(samples.scores) - one_hot(samples.targets, samples.scores.shape[1])
    return samples.mean(np.square(errors).sum(axis=1))


# On a finite sample even probabilities that are right miss in each bin, and absolute values add up.
ABSOLUTE = (
    "calibration errors are biased upwards on finite samples, so no interval is valid; log loss "
    "and Brier have one"
)
ONE_CLASS = "all samples are of one class"
FOR_ONE_CLASS = "all targets or all predictions are of one class"
UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)


def _macro(name: str, label: str, form: Form, summary: str, **fields: Any) -> Metric:
    """Return a metric that is the mean over classes of a share."""
    told = f"mean {summary} over classes"
    return weighted(name, label, True, form, per_class=True, bounds=UNIT, summary=told, **fields)


# The first six are the columns of a leaderboard, and the first of them sorts it.
CLASSIFICATION = (
    _macro("balanced_accuracy", "balanced accuracy", recalls, "sensitivity (recall)"),
    _macro(
        "macro_auroc",
        "macro AUROC",
        aurocs,
        "one-vs-rest area under the ROC curve",
        undefined=ONE_CLASS,
    ),
    weighted(
        "mcc",
        "MCC",
        True,
        mcc,
        undefined=FOR_ONE_CLASS,
        bounds=SIGNED,
        summary="Matthews correlation coefficient of classes and decisions",
    ),
    _macro("macro_f1", "macro F1", f1s, "F1 (harmonic mean of sensitivity and PPV)"),
    weighted(
        "accuracy",
        "accuracy",
        True,
        accuracy,
        bounds=UNIT,
        summary="proportion of correct decisions",
    ),
    weighted(
        "log_loss",
        "log loss",
        False,
        _log_loss,
        bounds=POSITIVE,
        continuous=True,
        summary="mean negative log likelihood of the true class (NLL), in nats",
    ),
    _macro(
        "macro_auprc",
        "macro AUPRC",
        average_precisions,
        "one-vs-rest average precision",
        undefined=ONE_CLASS,
    ),
    _macro(
        "macro_specificity",
        "macro specificity",
        specificities,
        "specificity",
        undefined=FOR_ONE_CLASS,
    ),
    _macro(
        "macro_ppv",
        "macro PPV",
        precisions,
        "positive predictive value (precision)",
        undefined="class number {k} is never predicted",
    ),
    _macro(
        "macro_npv",
        "macro NPV",
        npvs,
        "negative predictive value",
        undefined=FOR_ONE_CLASS,
        of_absent_too=True,
    ),
    weighted(
        "kappa",
        "Cohen's κ",
        True,
        kappa,
        undefined="all targets and all predictions are of one class",
        bounds=SIGNED,
        summary="agreement of classes and decisions beyond chance",
    ),
    weighted(
        "brier",
        "Brier",
        False,
        _brier,
        bounds=(0.0, 2.0),
        continuous=True,
        summary="mean squared error of the probabilities, summed over classes",
    ),
    weighted(
        "ece",
        "ECE",
        False,
        gap,
        bounds=UNIT,
        no_interval=ABSOLUTE,
        continuous=True,
        summary="expected calibration error of the decision, 15 equal bins of confidence",
    ),
    weighted(
        "class_wise_ece",
        "class-wise ECE",
        False,
        class_wise_gaps,
        per_class=True,
        bounds=UNIT,
        no_interval=ABSOLUTE,
        continuous=True,
        summary="mean over classes of the calibration error of their probabilities, 15 equal bins",
    ),
)
SHOWN = CLASSIFICATION[:6]
