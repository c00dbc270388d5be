"""The numbers of a model card, computed from stored predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Metric, Value
from mritk.evaluate.metrics import find_metric, metrics_of
from mritk.results.analysis import Analysis
from mritk.results.clean_support import CleanSupport
from mritk.results.named_reasons import named_value
from mritk.store.trial_file import TrialRecord

CALIBRATION = ("log_loss", "brier", "ece")


@dataclass(frozen=True)
class CardMetric:
    """One line of a table of scores.

    Attributes:
        metric: What was computed.
        value: Over the test part; NaN comes with a ``reason``.
        reason: Why there is no value, or empty.
        interval: Of 95 %, patients resampled; without ends where there is none.
        clean: Over the clean test samples; None where all are, or nobody looked. Too few of them
            give NaN and a reason.
    """

    metric: Metric
    value: float
    reason: str
    interval: Interval
    clean: Value | None = None


def card_metrics(record: TrialRecord) -> list[CardMetric]:
    """Return the usual metrics of the test part of a finished trial, calibration apart."""
    return _scored(record, [m for m in metrics_of(record.task) if m.name not in CALIBRATION])


def calibration_metrics(record: TrialRecord) -> list[CardMetric]:
    """Return log loss, Brier score and ECE of the test part of a classification."""
    return _scored(record, [find_metric(name) for name in CALIBRATION])


def _scored(record: TrialRecord, metrics: Sequence[Metric]) -> list[CardMetric]:
    test, analysis = record.predictions["test"], Analysis()
    evidence = analysis.evidence({record.id: [analysis.scored(record)]}, metrics)
    clean = None if test.known_clean.all() else analysis.scored(record, clean=True)
    support = CleanSupport.of_test(test, record.task)
    found = []
    for metric in metrics:
        value = named_value(metric.compute(test.target, test.score), record.task)
        interval = Interval.undefined(value.reason)
        if not value.reason:
            interval = evidence.interval(record.id, metric)
        cleaned = None
        if clean is not None:
            withheld = support.withheld(metric, record.task)
            cleaned = (
                Value(math.nan, withheld)
                if withheld
                else metric.compute(clean.target, clean.score, leave_out_absent=True)
            )
            cleaned = named_value(cleaned, record.task)
        found.append(CardMetric(metric, value.value, value.reason, interval, cleaned))
    return found
