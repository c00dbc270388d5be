"""Means over runs where a metric has no value in some fold, for want of a class or of a case."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mritk.evaluate.metric import Metric, Value
from mritk.evaluate.over_folds import run_value
from mritk.evaluate.run_values import Scored, independent
from mritk.evaluate.values import Values, mean_of
from mritk.results.analysis import Analysis, run_of
from mritk.results.kept_tables import KeptTables, kept_or_made, table_key
from mritk.results.table import Cell, Row
from mritk.results.table_trial import TableTrial, scores_of
from mritk.results.trial_facts import TrialFacts

# By row and metric: the mean over runs, and why there is none.
Means = dict[str, dict[str, tuple[float, str]]]


def cell_of(metric: Metric, values: Sequence[Value], trials: Sequence[TrialFacts]) -> Cell:
    """Return a metric over the trials of a row; one of cases is over those that define it."""
    points = tuple(value.value for value in values)
    reason = next((value.reason for value in values if value.reason), "")
    if not reason or not metric.of_cases or all(map(math.isnan, points)):
        return Cell(points, reason)
    of_run: dict[tuple[int, int], list[Values]] = defaultdict(list)
    for point, facts in zip(points, trials, strict=True):
        of_run[run_of(facts)].append(Values(point, np.empty(0)))
    runs = independent({run: mean_of(folds, metric) for run, folds in of_run.items()}, metric)
    return Cell(points, over_runs=float(np.mean([run.point for run in runs])))


def told_over_runs(
    rows: Sequence[Row],
    evaluated: Mapping[str, Sequence[TableTrial]],
    metrics: Sequence[Metric],
    analysis: Analysis,
    kept: KeptTables | None,
) -> list[Row]:
    """Return the rows with means over runs where a fold leaves it to the others.

    Values of folds do not tell what a run has: that takes the scores of all its trials.
    """
    lacking = {
        row.name: evaluated[row.name]
        for row in rows
        if len(set(row.folds)) > 1 and any(cell.reason for cell in row.cells.values())
    }
    if not lacking:
        return list(rows)

    def make() -> Means:
        return {
            row.name: _means(row, scores_of(lacking[row.name], analysis)[0], metrics)
            for row in rows
            if row.name in lacking
        }

    means = kept_or_made(
        kept,
        table_key("means over runs", lacking, metrics, analysis),
        make,
        as_data=lambda found: found,
        from_data=_from_data,
    )
    return [_told(row, means.get(row.name, {})) for row in rows]


def _means(
    row: Row, scores: Sequence[Scored], metrics: Sequence[Metric]
) -> dict[str, tuple[float, str]]:
    """Return the mean over runs of each metric that has no value in some trial.

    Nothing without scores: they are undefined, and so is what is said of the row.
    """
    found = {}
    for metric in (m for m in metrics if scores and row.cells[m.name].reason):
        runs = [
            run_value(metric, [(s.target, s.scores_for(metric)) for s in scores if s.run == run])
            for run in dict.fromkeys(s.run for s in scores)
        ]
        reason = next((run.reason for run in runs if run.reason), "")
        found[metric.name] = float(np.mean([run.value for run in runs])), reason
    return found


def _told(row: Row, means: Mapping[str, tuple[float, str]]) -> Row:
    cells = {
        name: replace(row.cells[name], over_runs=mean, reason=reason)
        for name, (mean, reason) in means.items()
    }
    return replace(row, cells={**row.cells, **cells})


def _from_data(data: Mapping[str, Mapping[str, tuple[float, str]]]) -> Means:
    return {
        row: {name: (float(mean), str(reason)) for name, (mean, reason) in found.items()}
        for row, found in data.items()
    }
