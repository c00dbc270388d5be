"""Each class for itself: what a clinician asks of a test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk.evaluate.classification import aurocs, average_precisions
from mritk.evaluate.decisions import f1s, npvs, precisions, recalls, specificities
from mritk.evaluate.metric import NOT_FINITE, Value
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.weighted import Form


@dataclass(frozen=True)
class ClassScores:
    """One class against all others.

    Attributes:
        name: Name of the class.
        support: Number of its samples.
        prevalence: Their share.
        values: By name: sensitivity, specificity, ppv, npv, f1, auroc, auprc.
    """

    name: str
    support: int
    prevalence: float
    values: dict[str, Value]


# The forms of the scores, and why they may have no value.
SCORES: dict[str, tuple[Form, str]] = {
    "sensitivity": (recalls, "the class has no sample"),
    "specificity": (specificities, "no sample is of another class"),
    "ppv": (precisions, "the class is never predicted"),
    "npv": (npvs, "no other class is ever predicted"),
    "f1": (f1s, "the class has no sample"),
    "auroc": (aurocs, "all samples are of the class, or none are"),
    "auprc": (average_precisions, "all samples are of the class, or none are"),
}


def confusion(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return how many samples of class i (row) are taken for class j, (classes, classes) int64."""
    return _unweighted(targets, scores).confusion[0].astype(np.int64)


def _unweighted(targets: np.ndarray, scores: np.ndarray) -> Resamples:
    return Resamples.of_one(targets, scores, np.ones(len(targets)))


def per_class(
    targets: np.ndarray, scores: np.ndarray, classes: tuple[str, ...]
) -> list[ClassScores]:
    """Return the scores of each class, undefined if some logits are NaN or infinite.

    Args:
        targets: (N,) class indices.
        scores: (N, classes) logits.
        classes: Names.
    """
    samples = _unweighted(targets, scores)
    support = samples.confusion[0].sum(axis=1)
    finite = bool(np.isfinite(scores).all())
    found = {
        name: (form(samples)[0], why) if finite else (np.full(len(classes), np.nan), NOT_FINITE)
        for name, (form, why) in SCORES.items()
    }
    return [
        ClassScores(
            name,
            int(support[k]),
            float(support[k] / max(1, support.sum())),
            {score: Value.of(values[k], why) for score, (values, why) in found.items()},
        )
        for k, name in enumerate(classes)
    ]
