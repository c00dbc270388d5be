"""Over which trials means over cases are, where in some of them no case has a value."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.results.table import Row, Table

# Seed, fold and value of a trial, NaN where it has none.
OfTrial = tuple[int, int, float]


def over_defined(table: Table, metrics: Sequence[Metric], *, clean: bool = False) -> list[str]:
    """Return what is said of metrics of a table, one sentence for all that are over the same.

    ``clean``: of their values on clean samples.
    """
    told: dict[str, list[str]] = {}
    for metric in (metric for metric in metrics if metric.of_cases):
        trials = {row.name: of_row(row, metric, clean=clean) for row in table.rows}
        if text := mean_over(trials):
            told.setdefault(text, []).append(f"clean {metric.label}" if clean else metric.label)
    return [f"{', '.join(labels)}: {text}." for text, labels in told.items()]


def of_row(row: Row, metric: Metric, *, clean: bool = False) -> list[OfTrial]:
    """Return a metric of the trials of a row; ``clean``: on clean samples, empty if all are."""
    cells = row.clean_cells if clean else row.cells
    if metric.name not in cells:
        return []
    return list(zip(row.seeds, row.folds, cells[metric.name].values, strict=True))


def mean_over(rows: Mapping[str, Sequence[OfTrial]]) -> str:
    """Say over which trials the means of rows are, and if these differ; empty if over all.

    Rows without any value have no mean, and are not spoken of.
    """
    found = {
        name: trials
        for name, trials in rows.items()
        if not all(math.isnan(value) for *_, value in trials)
    }
    lost = [undefined_in(trials) for trials in found.values()]
    if not any(lost):
        return ""
    one_seed = all(len({seed for seed, *_ in trials}) == 1 for trials in found.values())
    one_fold = all(len({fold for _, fold, _ in trials}) == 1 for trials in found.values())
    what = "folds" if one_seed else "seeds" if one_fold else "trials (seeds and folds)"
    counts = {
        name: f"{sum(not math.isnan(value) for *_, value in trials)} of {len(trials)}"
        for name, trials in found.items()
    }
    differ = any(of_row != lost[0] for of_row in lost)
    if len(set(counts.values())) == 1 and not differ:
        return f"mean over the {next(iter(counts.values()))} {what} that have a value"
    listed = "; ".join(f"{name}: {count}" for name, count in counts.items())
    text = f"mean over the {what} that have a value ({listed})"
    return f"{text}; these differ, so the means are of different cases" if differ else text


def undefined_in(trials: Sequence[OfTrial]) -> dict[int, float]:
    """Return, by fold, the share of its seeds that have no value; only of folds with such."""
    of_fold: dict[int, list[bool]] = defaultdict(list)
    for _, fold, value in trials:
        of_fold[fold].append(math.isnan(value))
    return {fold: float(np.mean(lost)) for fold, lost in of_fold.items() if any(lost)}
