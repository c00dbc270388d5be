"""Metrics of stored predictions; scikit-learn does the arithmetic.

An undefined value is NaN with a reason, never 0.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mritk.data.samples import Classification, Task
from mritk.errors import UnknownName


@dataclass(frozen=True)
class Value:
    """The value of a metric; NaN comes with the ``reason`` why it is undefined."""

    value: float
    reason: str = ""


@dataclass(frozen=True)
class Metric:
    """A number computed from targets and scores.

    Attributes:
        name: Name on the command line.
        label: Heading in tables.
        higher_is_better: Direction.
        function: Takes targets (N,) and scores (logits (N, classes) or values (N,)).
    """

    name: str
    label: str
    higher_is_better: bool
    function: Callable[[np.ndarray, np.ndarray], Value]

    @property
    def arrow(self) -> str:
        """The direction of better values."""
        return "↑" if self.higher_is_better else "↓"

    def compute(self, targets: np.ndarray, scores: np.ndarray) -> Value:
        """Return the value; NaN with a reason if it is undefined for these samples."""
        if len(scores) != len(targets) or scores.ndim != (2 if self in CLASSIFICATION else 1):
            raise ValueError(
                f"{self.name}: scores of shape {scores.shape} for {len(targets)} targets"
            )
        if not len(targets):
            return Value(math.nan, "there are no samples")
        if not np.isfinite(scores).all():
            return Value(math.nan, "some scores are NaN or infinite")
        return self.function(targets, scores)


def log_odds(logits: np.ndarray, k: int) -> np.ndarray:
    """Return the log odds of class ``k`` against all others, (N,) float64.

    They rank as the probabilities do, but also where those round to 1.
    """
    from scipy.special import logsumexp

    values = logits.astype(np.float64)
    odds: np.ndarray = values[:, k] - logsumexp(np.delete(values, k, axis=1), axis=1)
    return odds


def _absent(targets: np.ndarray, scores: np.ndarray) -> str:
    absent = np.setdiff1d(np.arange(scores.shape[1]), targets)
    return f"class number {absent[0]} has no sample" if len(absent) else ""


def _accuracy(targets: np.ndarray, scores: np.ndarray) -> Value:
    return Value(float((scores.argmax(axis=1) == targets).mean()))


def _balanced_accuracy(targets: np.ndarray, scores: np.ndarray) -> Value:
    from sklearn.metrics import recall_score

    if reason := _absent(targets, scores):
        return Value(math.nan, reason)
    return Value(float(recall_score(targets, scores.argmax(axis=1), average="macro")))


def _macro_f1(targets: np.ndarray, scores: np.ndarray) -> Value:
    from sklearn.metrics import f1_score

    if reason := _absent(targets, scores):
        return Value(math.nan, reason)
    labels = np.arange(scores.shape[1])
    predicted = scores.argmax(axis=1)
    # A class that is never predicted has precision 0/0 but F1 = 0 by 2TP / (2TP + FP + FN).
    score = f1_score(targets, predicted, labels=labels, average="macro", zero_division=0.0)
    return Value(float(score))


def _macro_auroc(targets: np.ndarray, scores: np.ndarray) -> Value:
    from sklearn.metrics import roc_auc_score

    if reason := _absent(targets, scores):
        return Value(math.nan, reason)
    one_against_rest = [
        roc_auc_score(targets == k, log_odds(scores, k)) for k in range(scores.shape[1])
    ]
    return Value(float(np.mean(one_against_rest)))


def _mcc(targets: np.ndarray, scores: np.ndarray) -> Value:
    from sklearn.metrics import matthews_corrcoef

    predicted = scores.argmax(axis=1)
    if len(np.unique(targets)) == 1 or len(np.unique(predicted)) == 1:
        return Value(math.nan, "all targets or all predictions are of one class")
    return Value(float(matthews_corrcoef(targets, predicted)))


def _log_loss(targets: np.ndarray, scores: np.ndarray) -> Value:
    from scipy.special import log_softmax

    log_probabilities = log_softmax(scores.astype(np.float64), axis=1)
    return Value(float(-log_probabilities[np.arange(len(targets)), targets].mean()))


def _mae(targets: np.ndarray, scores: np.ndarray) -> Value:
    return Value(float(np.abs(targets - scores).mean()))


def _rmse(targets: np.ndarray, scores: np.ndarray) -> Value:
    return Value(float(np.sqrt(np.square(targets - scores).mean())))


def _r2(targets: np.ndarray, scores: np.ndarray) -> Value:
    from sklearn.metrics import r2_score

    if np.ptp(targets) == 0:
        return Value(math.nan, "all targets are equal")
    return Value(float(r2_score(targets, scores)))


# The first metric of a task is the one its leaderboards are sorted by.
CLASSIFICATION = (
    Metric("balanced_accuracy", "balanced accuracy", True, _balanced_accuracy),
    Metric("macro_auroc", "macro AUROC", True, _macro_auroc),
    Metric("mcc", "MCC", True, _mcc),
    Metric("macro_f1", "macro F1", True, _macro_f1),
    Metric("accuracy", "accuracy", True, _accuracy),
    Metric("log_loss", "log loss", False, _log_loss),
)
REGRESSION = (
    Metric("mae", "MAE", False, _mae),
    Metric("rmse", "RMSE", False, _rmse),
    Metric("r2", "R²", True, _r2),
)


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """Return the metrics of a task."""
    return CLASSIFICATION if isinstance(task, Classification) else REGRESSION


def all_metrics() -> Mapping[str, Metric]:
    """Return every metric by name."""
    return {metric.name: metric for metric in (*CLASSIFICATION, *REGRESSION)}


def find_metric(name: str, task: Task | None = None) -> Metric:
    """Return a metric by name, of one task if it is given.

    Raises:
        UnknownName: There is no such metric.
    """
    known = {m.name: m for m in metrics_of(task)} if task else all_metrics()
    if name not in known:
        near = difflib.get_close_matches(name, known, 2, 0.5)
        hint = f"did you mean {' or '.join(near)}? There is" if near else "there is"
        raise UnknownName(f"unknown metric {name!r}; {hint} {', '.join(known)}")
    return known[name]
