"""The order of rows, and which rows have a rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mritk.evaluate.metric import Metric
from mritk.results.footnotes import OPTIMISTIC
from mritk.results.table import Row


def ranked(rows: Sequence[Row], metric: Metric) -> list[Row]:
    """Return the rows in the order of a table: best first, and below them those without a rank.

    A row is not ranked if the test set helped to make it (:data:`OPTIMISTIC`) and others of the
    table were made without: its score is no estimate of the same quantity. If that holds for all
    rows, they are ranked among themselves.
    """
    biased = {row.name for row in rows if set(row.marks) & set(OPTIMISTIC)}
    fair = any(row.trials and row.name not in biased for row in rows)
    told = [replace(row, ranked=not (fair and row.name in biased)) for row in rows]
    return sorted(told, key=lambda row: (not row.ranked, *_rank(row, metric)))


def _rank(row: Row, metric: Metric) -> tuple[bool, float, str]:
    mean = row.cells[metric.name].mean
    undefined = math.isnan(mean)
    value = 0.0 if undefined else -mean if metric.higher_is_better else mean
    return undefined, value, " ".join(row.keys.values())
