"""Each class for itself: what a clinician asks of a test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk.evaluate.metric import Value
from mritk.evaluate.ranks import odds_ranks


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


def confusion(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return how many samples of class i (row) are taken for class j, (classes, classes)."""
    from sklearn.metrics import confusion_matrix

    classes = np.arange(scores.shape[1])
    return np.asarray(confusion_matrix(targets, scores.argmax(axis=1), labels=classes))


def per_class(
    targets: np.ndarray, scores: np.ndarray, classes: tuple[str, ...]
) -> list[ClassScores]:
    """Return the scores of each class.

    Args:
        targets: (N,) class indices.
        scores: (N, classes) logits.
        classes: Names.
    """
    table = confusion(targets, scores)
    return [
        ClassScores(
            name,
            int(table[k].sum()),
            float(table[k].sum() / max(1, table.sum())),
            _counted(table, k) | _ranked(targets, scores, k),
        )
        for k, name in enumerate(classes)
    ]


def _counted(table: np.ndarray, k: int) -> dict[str, Value]:
    hits, missed = table[k, k], table[k].sum() - table[k, k]
    false = table[:, k].sum() - hits
    rest = table.sum() - hits - missed - false
    return {
        "sensitivity": _share(hits, hits + missed, "the class has no sample"),
        "specificity": _share(rest, rest + false, "no sample is of another class"),
        "ppv": _share(hits, hits + false, "the class is never predicted"),
        "npv": _share(rest, rest + missed, "no other class is ever predicted"),
        "f1": _share(2 * hits, 2 * hits + missed + false, "the class has no sample"),
    }


def _share(part: int, whole: int, reason: str) -> Value:
    return Value(float(part / whole)) if whole else Value(float("nan"), reason)


def _ranked(targets: np.ndarray, scores: np.ndarray, k: int) -> dict[str, Value]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    is_class = targets == k
    if is_class.all() or not is_class.any():
        missing = Value(float("nan"), "all samples are of the class, or none are")
        return {"auroc": missing, "auprc": missing}
    odds = odds_ranks(scores, k)
    return {
        "auroc": Value(float(roc_auc_score(is_class, odds))),
        "auprc": Value(float(average_precision_score(is_class, odds))),
    }
