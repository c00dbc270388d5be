"""ROC and precision–recall curves, one class against the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mritk.errors import UsageError
from mritk.evaluate.ranks import odds_ranks
from mritk.evaluate.run_values import Scored
from mritk.lazy_import import lazy
from mritk.report.scored import drawn_rows, rows_note
from mritk.report.style import (
    INK,
    colour,
    dash,
    legend_below,
    panels,
    short,
    styled,
    title_of,
)
from mritk.results.table import Table

MOST, COLUMNS = 8, 4
GRID = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class Kind:
    """A kind of curve.

    Attributes:
        axes: Names of the axes, across and up.
        values: The curve on the grid, from (N,) bool and (N,) scores of one class.
        area: The area under it, from the same; it is called ``area_name``.
        corner: Where the areas are written, as fractions of a panel: the curve seldom passes there.
    """

    axes: tuple[str, str]
    values: Callable[[np.ndarray, np.ndarray], np.ndarray]
    area: Callable[[np.ndarray, np.ndarray], float]
    area_name: str
    corner: tuple[float, float]


def roc(table: Table) -> Figure:
    """Draw ROC curves: one panel per class, one line per row (mean over its trials)."""
    return _curves(table, ROC)


def precision_recall(table: Table) -> Figure:
    """Draw precision–recall curves; the dotted line is the prevalence."""
    return _curves(table, PRECISION_RECALL)


def _curves(table: Table, kind: Kind) -> Figure:
    task = table.task
    if not task.classes:
        raise UsageError(f"{task.kind} has no ROC or precision–recall curve")
    rows = drawn_rows(table)
    with styled():
        shown = rows[:MOST]
        figure, axes = panels(len(task.classes), columns=COLUMNS, width=2.6, height=2.5)
        lines: dict[str, Line2D] = {}
        areas: dict[str, list[float]] = defaultdict(list)
        for k, (panel, name) in enumerate(zip(axes, task.classes, strict=True)):
            panel.set(title=title_of(name), xlabel=kind.axes[0], xlim=(0, 1), ylim=(0, 1.02))
            if k % COLUMNS == 0:
                panel.set_ylabel(kind.axes[1])
            written = []
            for number, (row, trials) in enumerate(shown):
                found = _class_of(trials, k)
                if not found:
                    continue
                lines[row.name] = _row(panel, kind, found, number, row.name)
                areas[row.name].append(float(np.mean([kind.area(*one) for one in found])))
                written.append((number, areas[row.name][-1]))
            _write_areas(panel, kind, written)
            _guess(panel, kind, _class_of(shown[0][1], k) if shown else [])
        told = [
            (f"{short(name)} (mean {kind.area_name} {np.mean(areas[name]):.3f})", line)
            for name, line in lines.items()
        ]
        guess = "chance" if kind is ROC else "prevalence"
        told.append((guess, Line2D([], [], color=INK, lw=1, ls=":")))
        legend_below(figure, told, columns=2, note=rows_note(table, rows, len(shown)))
    return figure


def _class_of(trials: Sequence[Scored], k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, of each trial that tests class k and another, which samples are of k, and scores."""
    found = [(trial.target == k, trial.score) for trial in trials]
    return [
        (is_class, odds_ranks(score, k))
        for is_class, score in found
        if is_class.any() and not is_class.all()
    ]


def _row(
    panel: Axes, kind: Kind, trials: Sequence[tuple[np.ndarray, np.ndarray]], number: int, name: str
) -> Line2D:
    style: dict[str, Any] = {"color": colour(number), "ls": dash(number)}
    curves = [kind.values(*one) for one in trials]
    if len(curves) > 1:
        for single in curves:
            panel.plot(GRID, single, lw=0.5, alpha=0.35, **style)
    (line,) = panel.plot(GRID, np.mean(curves, axis=0), lw=1.5, label=name, **style)
    return line


def _write_areas(panel: Axes, kind: Kind, areas: Sequence[tuple[int, float]]) -> None:
    """Write the areas under the curves in their colours, in the order of the legend."""
    x, y = kind.corner
    step = 0.07
    told = [(f"{area:.3f}", colour(number)) for number, area in areas]
    for at, (text, ink) in enumerate([(kind.area_name, INK), *told]):
        up = y + step * (len(told) - at)
        panel.text(x, up, text, color=ink, fontsize=7, transform=panel.transAxes)


def _guess(panel: Axes, kind: Kind, trials: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw what scores without any knowledge come to."""
    if kind is ROC:
        panel.plot([0, 1], [0, 1], color=INK, lw=1, ls=":")
    elif trials:
        share = np.concatenate([is_class for is_class, _ in trials]).mean()
        panel.axhline(float(share), color=INK, lw=1, ls=":")


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


ROC = Kind(
    ("1 − specificity", "sensitivity"),
    _roc_on_grid,
    lazy("sklearn.metrics:roc_auc_score"),
    "AUC",
    (0.8, 0.03),
)
PRECISION_RECALL = Kind(
    ("sensitivity (recall)", "PPV (precision)"),
    _precision_on_grid,
    lazy("sklearn.metrics:average_precision_score"),
    "AP",
    (0.05, 0.03),
)
