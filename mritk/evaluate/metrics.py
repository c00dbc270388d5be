"""Metrics of stored predictions; scikit-learn does the arithmetic.

An undefined value is NaN with a reason, never 0.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
        function: Takes targets (N,) and scores (logits (N, classes) or values (N,)); returns the
            value, or one value per class, of which the metric is the mean.
        per_class: Whether the function returns one value per class.
    """

    name: str
    label: str
    higher_is_better: bool
    function: Callable[[np.ndarray, np.ndarray], Any]
    per_class: bool = False

    @property
    def arrow(self) -> str:
        """The direction of better values."""
        return "↑" if self.higher_is_better else "↓"

    def compute(
        self, targets: np.ndarray, scores: np.ndarray, *, leave_out_absent: bool = False
    ) -> Value:
        """Return the value; NaN with a reason if it is undefined for these samples.

        Args:
            targets: (N,) class indices or values.
            scores: (N, classes) logits, or (N,) values.
            leave_out_absent: Let a mean over classes leave out the classes without samples, which
                otherwise make it undefined.
        """
        if len(scores) != len(targets) or scores.ndim != (2 if self in CLASSIFICATION else 1):
            raise ValueError(
                f"{self.name}: scores of shape {scores.shape} for {len(targets)} targets"
            )
        if not len(targets):
            return Value(math.nan, "there are no samples")
        if not np.isfinite(scores).all():
            return Value(math.nan, "some scores are NaN or infinite")
        if not self.per_class:
            value: Value = self.function(targets, scores)
            return value
        present = np.unique(targets)
        absent = np.setdiff1d(np.arange(scores.shape[1]), present)
        if len(absent) and not leave_out_absent:
            return Value(math.nan, f"class number {absent[0]} has no sample")
        if len(present) == 1 and self.function is _aurocs:
            return Value(math.nan, "all samples are of one class")
        return Value(float(np.mean(self.function(targets, scores)[present])))


def log_odds(logits: np.ndarray, k: int) -> np.ndarray:
    """Return the log odds of class ``k`` against all others, (N,) float64.

    They rank as the probabilities do, but also where those round to 1.
    """
    from scipy.special import logsumexp

    values = logits.astype(np.float64)
    odds: np.ndarray = values[:, k] - logsumexp(np.delete(values, k, axis=1), axis=1)
    return odds


def _accuracy(targets: np.ndarray, scores: np.ndarray) -> Value:
    return Value(float((scores.argmax(axis=1) == targets).mean()))


def _recalls(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    from sklearn.metrics import recall_score

    labels = np.arange(scores.shape[1])
    predicted = scores.argmax(axis=1)
    return np.asarray(
        recall_score(targets, predicted, labels=labels, average=None, zero_division=0.0)
    )


def _f1s(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    from sklearn.metrics import f1_score

    labels = np.arange(scores.shape[1])
    predicted = scores.argmax(axis=1)
    # A class that is never predicted has precision 0/0 but F1 = 0 by 2TP / (2TP + FP + FN).
    return np.asarray(f1_score(targets, predicted, labels=labels, average=None, zero_division=0.0))


def _aurocs(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the AUROC of each class against the rest; NaN for a class without samples."""
    from sklearn.metrics import roc_auc_score

    found = np.full(scores.shape[1], math.nan)
    for k in np.unique(targets):
        found[k] = roc_auc_score(targets == k, log_odds(scores, k))
    return found


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
    Metric("balanced_accuracy", "balanced accuracy", True, _recalls, per_class=True),
    Metric("macro_auroc", "macro AUROC", True, _aurocs, per_class=True),
    Metric("mcc", "MCC", True, _mcc),
    Metric("macro_f1", "macro F1", True, _f1s, per_class=True),
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
