"""The figures by the names that ``mritk plot`` knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from mritk.evaluate.metric import Metric
from mritk.report.figures.confusion import confusion
from mritk.report.figures.cost import cost
from mritk.report.figures.curves import precision_recall, roc
from mritk.report.figures.differences import differences
from mritk.report.figures.forest import forest
from mritk.report.figures.learning import learning
from mritk.report.figures.reliability import reliability
from mritk.results.table import Table


@dataclass(frozen=True)
class Kind:
    """A kind of figure; ``draw`` raises UsageError where the table has none."""

    title: str
    caption: str
    draw: Callable[[Table, Metric], Figure]


KINDS = {
    "forest": Kind("Scores", "Mean scores with 95 % intervals, best row first.", forest),
    "differences": Kind("Differences", "Differences between all pairs of rows.", differences),
    "learning": Kind(
        "Learning curves", "Loss by epoch, one line per trial.", lambda table, _: learning(table)
    ),
    "roc": Kind(
        "ROC",
        "ROC curves, one-vs-rest. Thick: mean over trials; thin: single trials.",
        lambda table, _: roc(table),
    ),
    "pr": Kind(
        "Precision and recall",
        "Precision–recall curves, one-vs-rest. Thick: mean over trials; thin: single trials.",
        lambda table, _: precision_recall(table),
    ),
    "confusion": Kind(
        "Confusion",
        "Confusion matrices over all trials: proportion of the true class, and count.",
        lambda table, _: confusion(table),
    ),
    "reliability": Kind(
        "Reliability",
        "Accuracy as a function of confidence; 15 bins, all trials.",
        lambda table, _: reliability(table),
    ),
    "cost": Kind("Cost", "Score against cost.", cost),
}
