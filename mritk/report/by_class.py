"""Each class for itself, over all trials of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.metric import Value
from mritk.evaluate.per_class import per_class
from mritk.evaluate.run_values import Scored
from mritk.report.board import Shown
from mritk.report.scored import scored_rows
from mritk.results.table import Table

LABELS = {"ppv": "PPV", "npv": "NPV", "f1": "F1", "auroc": "AUROC", "auprc": "AUPRC"}


@dataclass(frozen=True)
class ClassLine:
    """One class of one row.

    Attributes:
        support: Number of its samples over the folds of one run, or in one draw of a hold-out part.
        values: By name of score: the mean over the trials that have a value, and their SD.
    """

    name: str
    support: int
    prevalence: str
    values: dict[str, Shown]


@dataclass(frozen=True)
class ByClass:
    """The classes of the row of this name, over so many trials."""

    row: str
    trials: int
    lines: Sequence[ClassLine]


def by_class(table: Table) -> list[ByClass]:
    """Return the scores of each class, over all trials of each row; none of a regression."""
    classes = table.task.classes
    rows = scored_rows(table) if classes else []
    return [ByClass(row.name, len(trials), _lines(trials, classes)) for row, trials in rows]


def _lines(trials: Sequence[Scored], classes: tuple[str, ...]) -> list[ClassLine]:
    found = [per_class(trial.target, trial.score, classes) for trial in trials]
    of_one_run = [
        scores for trial, scores in zip(trials, found, strict=True) if trial.run == trials[0].run
    ]
    if _drawn_again(trials):
        of_one_run = of_one_run[:1]
    total = sum(scores.support for fold in of_one_run for scores in fold)
    lines = []
    for k, name in enumerate(classes):
        support = sum(fold[k].support for fold in of_one_run)
        values = {
            LABELS.get(score, score): _over_trials([scores[k].values[score] for scores in found])
            for score in found[0][k].values
        }
        lines.append(ClassLine(name, support, f"{support / max(1, total):.1%}", values))
    return lines


def _drawn_again(trials: Sequence[Scored]) -> bool:
    """Whether a run tests some samples several times, as repeated hold-out does."""
    tested = [set(trial.unit) for trial in trials if trial.run == trials[0].run]
    return len(set().union(*tested)) < sum(map(len, tested))


def _over_trials(values: Sequence[Value]) -> Shown:
    defined = [value.value for value in values if not value.reason]
    if not defined:
        return Shown(f"nan: {values[0].reason}", "")
    mean = float(np.mean(defined))
    told = [f"± {np.std(defined, ddof=1):.3f}"] if len(defined) > 1 else []
    if len(defined) < len(values):
        told.append(f"({len(defined)} of {len(values)} trials)")
    return Shown(f"{mean:.3f}", repr(mean), " ".join(told))
