"""How many cases have no score in the trials of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.metrics import of_any_region
from mritk.evaluate.segmentation import region_names
from mritk.results.analysis import Analysis
from mritk.results.table_trial import TableTrial


def undefined_of(
    rows: Mapping[str, Sequence[TableTrial]], metrics: Sequence[Metric], analysis: Analysis
) -> dict[str, list[tuple[Mapping[str, int], int]]]:
    """Return, by row, the undefined cases of each trial and how many it was tested on."""
    measuring = list({of_any_region(m.name): m for m in metrics if m.measure}.values())

    def undefined(trial: TableTrial) -> Mapping[str, int]:
        found = dict(trial.facts.undefined)
        with suppress(Undefined):  # then no row has scores, and says why
            for metric in measuring:
                values = trial.scored(analysis, clean=False).cases_for(metric)
                found |= _of_metric(metric, region_names(trial.facts.task), values)
        return found

    return {
        name: [(undefined(t), len(t.facts.test.ids)) for t in row if t.facts.test]
        for name, row in rows.items()
    }


def _of_metric(metric: Metric, regions: Sequence[str], values: np.ndarray) -> dict[str, int]:
    counts = zip(regions, np.isnan(values).sum(axis=0).tolist(), strict=True)
    name = of_any_region(metric.name)
    return {f"{name}[{region}]": count for region, count in counts if count}
