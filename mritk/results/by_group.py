"""The scores of groups of test samples: of each sex, age band, site, …; the worst, and the gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mritk.evaluate.group_gap import GroupScores
from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Undefined
from mritk.evaluate.run_values import Scored
from mritk.results.covariate import UNKNOWN, Covariate
from mritk.results.group_table import LEAST_OF_GROUP, GroupCell, GroupRow, GroupTable
from mritk.results.table import Leaderboard, Table
from mritk.store.trial_file import TrialRecord


def with_groups(board: Leaderboard, covariates: Sequence[Covariate]) -> Leaderboard:
    """Return a leaderboard with its tables by group; they must hold records.

    Raises:
        UsageError: Samples do not tell their group.
    """
    if not covariates:
        return board
    tables = [
        replace(table, groups=[group_table(table, covariate) for covariate in covariates])
        for table in board.tables
    ]
    return replace(board, tables=tables)


def group_table(table: Table, covariate: Covariate) -> GroupTable:
    """Return the scores of the rows of a table by group.

    Raises:
        UsageError: Samples do not tell their group.
    """
    parts = {
        row.name: [_parts(record, covariate) for record in table.records.get(row.name, ())]
        for row in table.rows
    }
    units: dict[str, set[str]] = {}
    for trials in parts.values():
        for of_groups in trials:
            for group, record in of_groups.items():
                units.setdefault(group, set()).update(record.predictions["test"].unit)
    names = covariate.in_order(list(units))
    shown = [name for name in names if len(units[name]) >= LEAST_OF_GROUP and name != UNKNOWN]
    scores = {group: _scores(table, parts, group) for group in shown}
    rows = [
        _row(name, {group: found[name] for group, found in scores.items()}, table)
        for name, trials in parts.items()
        if trials
    ]
    return GroupTable(
        covariate,
        table.metrics[0],
        {name: len(units[name]) for name in shown},
        rows,
        {name: len(units[name]) for name in names if name not in shown},
    )


def _parts(record: TrialRecord, covariate: Covariate) -> dict[str, TrialRecord]:
    """Return the trial with the test samples of each group."""
    test = record.predictions["test"]
    groups = covariate.groups_of(test, record.dataset)
    return {
        str(group): replace(
            record, predictions=record.predictions | {"test": test.only(groups == group)}
        )
        for group in np.unique(groups)
    }


@dataclass(frozen=True)
class _Score:
    """A group's score of one row, and how sure it is."""

    cell: GroupCell
    error: float = math.nan
    dof: float = math.nan


def _scores(
    table: Table, parts: Mapping[str, Sequence[Mapping[str, TrialRecord]]], group: str
) -> dict[str, _Score]:
    """Return the score of one group in every row."""
    analysis, metric = table.analysis, table.metrics[0]
    scored: dict[str, list[Scored]] = {}
    found: dict[str, _Score] = {}
    for name, trials in parts.items():
        try:
            records = [of_groups[group] for of_groups in trials if group in of_groups]
            scored[name] = [analysis.scored(record) for record in records]
        except Undefined as why:
            found[name] = _Score(GroupCell(math.nan, Interval.undefined(str(why))))
    present = {name: trials for name, trials in scored.items() if trials}
    evidence = analysis.evidence(present, [metric])
    for name in present:
        estimate, interval = evidence.estimate(name, metric), evidence.interval(name, metric)
        cell = GroupCell(estimate.point, None if analysis.interval == "none" else interval)
        found[name] = _Score(cell, estimate.standard_error, estimate.dof)
    missing = GroupCell(math.nan, Interval.undefined("no test sample"))
    return {name: found.get(name, _Score(missing)) for name in parts}


def _row(name: str, scores: Mapping[str, _Score], table: Table) -> GroupRow:
    metric = table.metrics[0]
    cells = {group: score.cell for group, score in scores.items()}
    defined = {group: s for group, s in scores.items() if not math.isnan(s.cell.value)}
    if len(defined) < 2:
        why = "fewer than two groups have a score"
        none = GroupCell(math.nan, Interval.undefined(why))
        return GroupRow(name, cells, none, none)
    values = [score.cell.value for score in defined.values()]
    lowest = int(np.argmin(values) if metric.higher_is_better else np.argmax(values))
    worst = GroupCell(values[lowest], group=list(defined)[lowest])
    gap = GroupCell(float(np.ptp(values)))
    if table.analysis.interval == "none":
        return GroupRow(name, cells, worst, gap)
    unsure = [group for group, score in defined.items() if not score.error > 0]
    if unsure or metric.no_interval:
        why = metric.no_interval or f"the variance of {unsure[0]} is unknown"
        interval = Interval.undefined(why)
        return GroupRow(
            name, cells, replace(worst, interval=interval), replace(gap, interval=interval)
        )
    groups = GroupScores(
        list(defined),
        np.asarray(values),
        np.asarray([score.error for score in defined.values()]),
        np.asarray([score.dof for score in defined.values()]),
    )
    low, high = metric.bounds
    _, _, of_worst = groups.worst(
        higher_is_better=bool(metric.higher_is_better), bounds=metric.bounds
    )
    _, of_gap = groups.gap(high - low)
    return GroupRow(name, cells, replace(worst, interval=of_worst), replace(gap, interval=of_gap))
