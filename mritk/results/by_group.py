"""The scores of groups of test samples: of each sex, age band, site, …; the worst, and the gap."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from mritk.evaluate.evidence import Evidence
from mritk.evaluate.group_gap import GroupScores
from mritk.evaluate.group_scores import group_scores
from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.run_values import Scored
from mritk.results.covariate import RECALL, UNKNOWN, Covariate
from mritk.results.group_table import (
    LEAST_FOR_GAP,
    LEAST_OF_GROUP,
    MOST_FOR_GAP,
    GroupCell,
    GroupRow,
    GroupTable,
)
from mritk.results.named_reasons import named_reason
from mritk.results.over_defined import mean_over
from mritk.results.table import Leaderboard, Table
from mritk.store.trial_file import TrialRecord
from mritk.tasks.task import Task

OF_A_CLASS = replace(find_metric(RECALL), name="recall", label="recall")


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
        row.name: [covariate.divided(record) for record in table.records.get(row.name, ())]
        for row in table.rows
    }
    units: dict[str, set[str]] = {}
    folds: dict[str, set[int]] = {}
    for trials in parts.values():
        for of_groups in trials:
            for group, record in of_groups.items():
                units.setdefault(group, set()).update(record.predictions["test"].unit)
                folds.setdefault(group, set()).add(record.fold)
    names = covariate.in_order(list(units))
    shown = [name for name in names if len(units[name]) >= LEAST_OF_GROUP and name != UNKNOWN]
    metric = OF_A_CLASS if covariate.by_class else table.metrics[0]
    evidence, why = _evidence(table, parts, shown, metric)
    spread = group_scores(evidence, metric)
    bare = table.analysis.interval == "none"
    sizes = {group: len(units[group]) for group in shown}
    rows = [
        _row(
            name,
            _cells(name, shown, evidence, why, metric, table.task),
            spread.get(name),
            metric,
            partial(_unsupported, sizes, table.unit),
            bare=bare,
        )
        for name, trials in parts.items()
        if trials
    ]
    return GroupTable(
        covariate,
        metric,
        sizes,
        rows,
        {name: len(units[name]) for name in names if name not in shown},
        sum(times > 1 for times in Counter(u for name in shown for u in units[name]).values()),
        table.unit,
        table.folds_overlap and max((len(folds[name]) for name in shown), default=0) > 1,
        _over(evidence, metric),
    )


def _over(evidence: Mapping[str, Evidence], metric: Metric) -> dict[str, str]:
    """Say over which trials means over cases are, by group in some of whose trials none is."""
    found = {
        group: mean_over({row: of.of_trials(row, metric) for row in of.rows})
        for group, of in evidence.items()
        if metric.of_cases
    }
    return {group: text for group, text in found.items() if text}


def _evidence(
    table: Table,
    parts: Mapping[str, Sequence[Mapping[str, TrialRecord]]],
    groups: Sequence[str],
    metric: Metric,
) -> tuple[dict[str, Evidence], dict[tuple[str, str], str]]:
    """Return what the scores of each group can bear; and by row and group why they cannot."""
    evidence: dict[str, Evidence] = {}
    reasons: dict[tuple[str, str], str] = {}
    for group in groups:
        scored: dict[str, list[Scored]] = {}
        for name, trials in parts.items():
            records = [of_groups[group] for of_groups in trials if group in of_groups]
            try:
                scored[name] = [table.analysis.scored(record) for record in records]
            except Undefined as why:
                reasons[name, group] = str(why)
        present = {name: trials for name, trials in scored.items() if trials}
        if present:
            evidence[group] = table.analysis.evidence(
                present, [metric], derived=[row.name for row in table.rows if row.derived]
            )
    return evidence, reasons


def _cells(
    name: str,
    groups: Sequence[str],
    evidence: Mapping[str, Evidence],
    reasons: Mapping[tuple[str, str], str],
    metric: Metric,
    task: Task,
) -> dict[str, GroupCell]:
    """Return the score of each group of one row."""
    cells = {}
    for group in groups:
        if group in evidence and name in evidence[group].rows:
            value = evidence[group].estimate(name, metric).point
            interval = evidence[group].interval(name, metric)
            reason = named_reason(interval.reason, task)
            cells[group] = GroupCell(value, replace(interval, reason=reason))
        else:
            reason = reasons.get((name, group), "no test sample")
            cells[group] = GroupCell(math.nan, Interval.undefined(reason))
    return cells


def _row(
    name: str,
    cells: Mapping[str, GroupCell],
    spread: GroupScores | None,
    metric: Metric,
    unsupported: Callable[[Iterable[str]], str],
    *,
    bare: bool,
) -> GroupRow:
    """Return a row with its worst group and its gap; ``bare``: without intervals.

    ``unsupported`` takes groups, and says why worst group and gap have no interval, or nothing.
    """
    values = {group: cell.value for group, cell in cells.items() if not math.isnan(cell.value)}
    if len(values) < 2:
        none = GroupCell(math.nan, Interval.undefined("fewer than two groups have a score"))
        return GroupRow(name, cells, none, none)
    pick = min if metric.higher_is_better else max
    lowest = pick(values, key=values.__getitem__)
    worst = GroupCell(values[lowest], group=lowest)
    gap = GroupCell(max(values.values()) - min(values.values()))
    if bare:
        points = {g: replace(c, interval=None) if g in values else c for g, c in cells.items()}
        return GroupRow(name, points, worst, gap)
    why = metric.no_interval or unsupported(values)
    known = spread.names if spread is not None else ()
    unsure = [group for group in values if group not in known]
    if not why and unsure:
        why = f"the variance of {unsure[0]} is unknown"
    if why or spread is None:
        unknown = Interval.undefined(why)
        worst, gap = replace(worst, interval=unknown), replace(gap, interval=unknown)
        return GroupRow(name, cells, worst, gap)
    _, _, of_worst = spread.worst(higher_is_better=bool(metric.higher_is_better))
    _, of_gap = spread.gap()
    return GroupRow(name, cells, replace(worst, interval=of_worst), replace(gap, interval=of_gap))


def _unsupported(units: Mapping[str, int], unit: str, groups: Iterable[str]) -> str:
    """Say why so few patients, or so many groups, support no interval of worst group and gap."""
    several = list(groups)
    if len(several) > MOST_FOR_GAP:
        return f"more than {MOST_FOR_GAP} groups"
    smallest = min(several, key=units.__getitem__)
    if units[smallest] < LEAST_FOR_GAP:
        return f"fewer than {LEAST_FOR_GAP} {unit} in {smallest}"
    return ""
