"""Which rows can be ranked on a dataset: those whose means are over the same folds."""

from __future__ import annotations

import math
from types import SimpleNamespace

from mritk.compare.across_datasets import comparable_means
from mritk.evaluate.metrics import find_metric
from mritk.results.table import Cell

DICE = find_metric("dice")


def row(name: str, *values: float) -> SimpleNamespace:
    folds = tuple(range(len(values)))
    cells = {"dice": Cell(values, over_runs=0.5)}
    return SimpleNamespace(
        name=name, trials=folds, folds=folds, seeds=(0,) * len(folds), cells=cells
    )


def test_rows_with_values_in_other_folds_than_most_are_not_ranked():
    table = SimpleNamespace(
        rows=[
            row("a", 0.8, math.nan, 0.8),
            row("b", 0.7, math.nan, 0.7),
            row("c", 0.6, *[math.nan] * 2),
        ]
    )
    found = comparable_means(table, DICE)
    assert [name for name, mean in found.items() if not math.isnan(mean)] == ["a", "b"]


def test_of_as_many_those_with_more_values_are_ranked():
    table = SimpleNamespace(rows=[row("a", 0.6, math.nan, math.nan), row("b", 0.8, 0.8, math.nan)])
    found = comparable_means(table, DICE)
    assert [name for name, mean in found.items() if not math.isnan(mean)] == ["b"]
