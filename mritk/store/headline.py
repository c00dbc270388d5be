"""The one number of a trial that a person waits for."""

from __future__ import annotations

from mritk.evaluate.metrics import metrics_of
from mritk.store.record import TrialRecord
from mritk.text.numbers import decimals


def headline(record: TrialRecord) -> str:
    """Return the metric that sorts a leaderboard, on the test part: ``balanced accuracy 0.812``.

    Empty for a trial without predictions; without a value where classes are absent.
    """
    test = record.predictions.get("test")
    if test is None:
        return ""
    metric = metrics_of(record.task)[0]
    return f"{metric.label} {decimals(metric.compute(test.target, test.score).value)}"
