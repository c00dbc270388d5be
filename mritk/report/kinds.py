"""The figures by the names that ``mritk plot`` knows."""

from __future__ import annotations

from collections.abc import Callable

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

KINDS: dict[str, Callable[[Table, Metric], Figure]] = {
    "forest": forest,
    "differences": differences,
    "learning": lambda table, metric: learning(table),
    "roc": lambda table, metric: roc(table),
    "pr": lambda table, metric: precision_recall(table),
    "confusion": lambda table, metric: confusion(table),
    "reliability": lambda table, metric: reliability(table),
    "cost": cost,
}
CAPTIONS = {
    "forest": "Scores with intervals of 95 %. Ticks are single trials; rows with a common letter "
    "at the right cannot be told apart.",
    "differences": "Differences between rows. Framed: told apart after Holm's correction.",
    "learning": "Loss by epoch, a line per trial; upright lines begin a stage.",
    "roc": "ROC curves, one class against the rest; thick: mean over trials.",
    "pr": "Precision–recall curves, one class against the rest; dotted: prevalence.",
    "confusion": "Confusion matrices, test samples of all trials: share of the true class, count.",
    "reliability": "Reliability of decisions, 15 bins; bars at the foot: how many lie there.",
    "cost": "Score against cost; the line joins rows that no other beats in both.",
}
