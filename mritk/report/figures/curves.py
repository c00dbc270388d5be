"""ROC and precision–recall curves, one class against the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mritk.data.samples import Classification
from mritk.errors import UsageError
from mritk.evaluate.ranks import odds_ranks
from mritk.report.canvas import RULE, STYLE, colour, dash, panels
from mritk.results.table import Table

MOST = 8
Curve = Callable[[np.ndarray, np.ndarray], np.ndarray]
GRID = np.linspace(0, 1, 201)


def roc(table: Table) -> Figure:
    """Draw ROC curves: one panel per class, one line per row (mean over its trials)."""
    return _curves(table, _roc_on_grid, ("1 - specificity", "sensitivity"), (0, 1))


def precision_recall(table: Table) -> Figure:
    """Draw precision–recall curves; the dotted line is the prevalence."""
    return _curves(table, _precision_on_grid, ("sensitivity (recall)", "PPV (precision)"), None)


def _curves(
    table: Table, of: Curve, labels: tuple[str, str], chance: tuple[float, float] | None
) -> Figure:
    task = table.task
    if not isinstance(task, Classification):
        raise UsageError("a regression has no ROC and no precision–recall curve")
    rows = [row for row in table.rows if table.records.get(row.name)][:MOST]
    with rc_context(STYLE):
        figure, axes = panels(len(task.classes), columns=4, width=2.5, height=2.6)
        for k, (panel, name) in enumerate(zip(axes, task.classes, strict=True)):
            _decorate(panel, name, labels)
            for number, row in enumerate(rows):
                found = []
                for record in table.records[row.name]:
                    test = record.predictions["test"]
                    is_class = test.target == k
                    if is_class.any() and not is_class.all():
                        found.append(of(is_class, odds_ranks(test.score, k)))
                        base = float(is_class.mean())
                if not found:
                    continue
                style: dict[str, Any] = {"color": colour(number), "ls": dash(number)}
                if len(found) > 1:
                    for single in found:
                        panel.plot(GRID, single, lw=0.5, alpha=0.35, **style)
                panel.plot(GRID, np.mean(found, axis=0), lw=1.5, label=row.name, **style)
            if chance is not None:
                panel.plot(chance, chance, color=RULE, lw=1)
            elif rows:
                panel.axhline(base, color=RULE, lw=1, ls=":")
        handles, names = axes[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _decorate(panel: Axes, title: str, labels: tuple[str, str]) -> None:
    panel.set_title(title)
    panel.set_xlabel(labels[0])
    panel.set_ylabel(labels[1])
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1.02)


def _roc_on_grid(is_class: np.ndarray, odds: np.ndarray) -> np.ndarray:
    from sklearn.metrics import roc_curve

    false_rate, true_rate, _ = roc_curve(is_class, odds)
    values: np.ndarray = np.interp(GRID, false_rate, true_rate)
    values[0] = 0.0
    return values


def _precision_on_grid(is_class: np.ndarray, odds: np.ndarray) -> np.ndarray:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(is_class, odds)
    # At each recall the best precision that reaches it: the step that average precision sums.
    at = np.searchsorted(-recall, -GRID, side="right") - 1
    values: np.ndarray = precision[np.clip(at, 0, len(precision) - 1)]
    return values
