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
    "forest": "Mean scores with 95 % intervals, best row first.",
    "differences": "Differences between all pairs of rows.",
    "learning": "Loss by epoch, one line per trial.",
    "roc": "ROC curves, one-vs-rest. Thick: mean over trials; thin: single trials.",
    "pr": "Precision–recall curves, one-vs-rest. Thick: mean over trials; thin: single trials.",
    "confusion": "Confusion matrices over all trials: proportion of the true class, and count.",
    "reliability": "Accuracy as a function of confidence; 15 bins, all trials.",
    "cost": "Score against cost.",
}
