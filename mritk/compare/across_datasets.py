"""Rows compared over several datasets, each of which counts once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from mritk.compare.paired_rows import PairedRows
from mritk.compare.paired_tests import Tested
from mritk.errors import UsageError
from mritk.evaluate.bayesian import dataset_probabilities
from mritk.evaluate.comparison import Comparison
from mritk.evaluate.friedman import (
    LEAST_DATASETS,
    Friedman,
    average_ranks,
    critical_difference,
    friedman,
    nemenyi,
)
from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Metric
from mritk.evaluate.rounding import rounded
from mritk.results.formats import told_apart
from mritk.results.over_defined import of_row, undefined_in
from mritk.results.row_keys import named_alike
from mritk.results.table import Table

OF_THE_DATASET = ("dataset", "dataset_fingerprint", "scheme")


@dataclass(frozen=True, eq=False)
class AcrossDatasets:
    """Rows that were trained under one protocol on several datasets.

    Attributes:
        keys: What the tables share: protocol, fingerprint, …
        metric: What is compared.
        datasets: D names.
        rows: B names, best average rank first.
        scores: (D, B) means over the trials.
        ranks: (B,) average ranks, 1 the best.
        pairs: What the test says of each pair of rows.
        left_out: Rows that some dataset lacks, in whole or in some folds.
        friedman: Friedman's test; None for the Bayesian one.
        rope: Half the width of the region of practical equivalence of the Bayesian one.
    """

    keys: dict[str, Any]
    metric: Metric
    datasets: Sequence[str]
    rows: Sequence[str]
    scores: np.ndarray
    ranks: np.ndarray
    pairs: Sequence[Tested]
    left_out: Sequence[str]
    friedman: Friedman | None = None
    rope: float = 0.0

    @property
    def critical_difference(self) -> float:
        """How far apart average ranks must lie to differ at 5 %."""
        return critical_difference(len(self.datasets), len(self.rows))


def across_datasets(
    tables: Sequence[Table], ropes: Mapping[str, float] | None = None
) -> list[AcrossDatasets]:
    """Compare the rows of tables of one protocol over their datasets.

    Args:
        tables: Tables of a leaderboard. Where the metric leaves out cases that were not predicted,
            they must hold records.
        ropes: Half the width of the region of practical equivalence, by name of metric, for the
            Bayesian signed-rank test; None: Friedman's test, and Nemenyi's for the pairs.

    Raises:
        UsageError: There are too few datasets or rows, or several tables of one dataset; or the
            means of two rows are of different cases.
        Unavailable: The package that computes the test is not installed.
    """
    groups: dict[tuple[Any, ...], list[Table]] = defaultdict(list)
    for table in tables:
        key = (*_shared(table).values(), table.metrics[0].name)
        groups[key].append(table)
    # Under several protocols, those that have been tried on few datasets are no error.
    enough = [group for group in groups.values() if len(group) >= LEAST_DATASETS]
    return [_compared(group, ropes) for group in enough or list(groups.values())]


def _shared(table: Table) -> dict[str, Any]:
    return {name: value for name, value in table.keys.items() if name not in OF_THE_DATASET}


def _compared(tables: Sequence[Table], ropes: Mapping[str, float] | None) -> AcrossDatasets:
    metric, keys = tables[0].metrics[0], _shared(tables[0])
    where = ", ".join([f"protocol {keys['protocol']}", *told_apart(keys)])
    datasets = [table.keys["dataset"] for table in tables]
    if twice := sorted({name for name in datasets if datasets.count(name) > 1}):
        raise UsageError(
            f"{where}: several tables of {', '.join(twice)} (different data or split), but a "
            "dataset counts once; move one of them to another results folder"
        )
    if mixed := named_alike(tables):
        raise UsageError(f"{where}: {mixed}; use --group-by augmentation")
    means = [comparable_means(table, metric) for table in tables]
    every = list(dict.fromkeys(name for of_table in means for name in of_table))
    names = [name for name in every if all(_known(of_table, name) for of_table in means)]
    if not names:
        raise UsageError(
            f"{where}: no row has a value of {metric.label} on all of {', '.join(datasets)}"
        )
    _require_same_cases(tables, metric, names)
    scores = rounded(np.asarray([[of_table[name] for name in names] for of_table in means]))
    better = bool(metric.higher_is_better)
    ranks = average_ranks(scores, higher_is_better=better)
    order = np.argsort(ranks, kind="stable")
    names, scores = [names[number] for number in order], scores[:, order]
    found = AcrossDatasets(
        keys,
        metric,
        datasets,
        names,
        scores,
        ranks[order],
        pairs=(),
        left_out=[name for name in every if name not in names],
    )
    if ropes is None:
        return _by_friedman(found, where)
    return _by_signed_ranks(replace(found, rope=ropes[metric.name]), where)


def comparable_means(table: Table, metric: Metric) -> dict[str, float]:
    """Return the mean of each row, nan of one that lacks folds that another row has.

    And of one whose cases have values in other folds than those of most rows.
    """
    trained = [row for row in table.rows if row.trials]
    folds = {fold for row in trained for fold in row.folds}
    known = [row for row in trained if row.cells[metric.name].defined and metric.of_cases]
    lost = {row.name: undefined_in(of_row(row, metric)) for row in known}
    every = list(lost.values())
    usual = max(every, key=lambda one: (every.count(one), -len(one)), default={})
    return {
        row.name: row.cells[metric.name].mean
        if folds <= set(row.folds) and lost.get(row.name, usual) == usual
        else math.nan
        for row in trained
    }


def _require_same_cases(tables: Sequence[Table], metric: Metric, names: Sequence[str]) -> None:
    """Refuse a metric whose means are of different cases: a rank would reward what is left out.

    Raises:
        UsageError: They are, on some dataset.
    """
    if metric.left_out is None:
        return
    for table in tables:
        rows = PairedRows(table, metric)
        for one, other in combinations(names, 2):
            if why := rows.other_cases(one, other):
                raise UsageError(f"{table.keys['dataset']}, {one} and {other}: {why}")


def _known(means: dict[str, float], name: str) -> bool:
    return math.isfinite(means.get(name, math.nan))


def _by_friedman(found: AcrossDatasets, where: str) -> AcrossDatasets:
    test = friedman(found.scores, higher_is_better=bool(found.metric.higher_is_better))
    if test.reason:
        raise UsageError(f"{where}: {test.reason}")
    p = nemenyi(found.scores)
    pairs = [
        # A pair differs only where the rows are shown to differ at all.
        _line(found, one, other, max(float(p[one, other]), test.p))
        for one, other in combinations(range(len(found.rows)), 2)
    ]
    return replace(found, pairs=pairs, friedman=test)


def _by_signed_ranks(found: AcrossDatasets, where: str) -> AcrossDatasets:
    if len(found.datasets) < LEAST_DATASETS or len(found.rows) < 2:
        raise UsageError(
            f"{where}: a test over datasets requires at least {LEAST_DATASETS} datasets and 2 "
            f"rows; there are {len(found.datasets)} and {len(found.rows)}"
        )
    better = bool(found.metric.higher_is_better)
    pairs = [
        replace(
            _line(found, one, other),
            probabilities=dataset_probabilities(
                found.scores[:, one], found.scores[:, other], found.rope, higher_is_better=better
            ),
        )
        for one, other in combinations(range(len(found.rows)), 2)
    ]
    return replace(found, pairs=pairs)


def _line(found: AcrossDatasets, one: int, other: int, p: float = math.nan) -> Tested:
    """Return the mean difference of a pair; its p needs no further correction."""
    difference = float((found.scores[:, one] - found.scores[:, other]).mean())
    return Tested(
        Comparison(
            found.rows[one],
            found.rows[other],
            found.metric.name,
            difference,
            Interval.undefined(""),
            p,
            p,
            higher_is_better=bool(found.metric.higher_is_better),
        )
    )
