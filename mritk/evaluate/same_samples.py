"""Whether two rows are scored on the same samples, where a metric leaves some of them out.

A distance to a region that was not predicted does not exist. Left out of the mean, such cases
flatter a row: whoever predicts nothing where it is hard has the shortest distances.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from mritk.evaluate.metric import Metric
from mritk.evaluate.run_values import Scored


def other_samples(metric: Metric, pairs: Iterable[tuple[Scored, Scored]]) -> str:
    """Return why two rows are not compared, or nothing if they are scored on the same samples.

    The two of each pair have the same samples in one order.
    """
    if metric.left_out is None:
        return ""
    differing = 0
    for pair in pairs:
        masks = [metric.left_out(trial.cases_for(metric)) for trial in pair]
        if masks[0].shape != masks[1].shape:
            return f"{metric.label} is of different cases in the two rows"
        differing += int((masks[0] != masks[1]).any(axis=1).sum())
    if not differing:
        return ""
    cases = "case" if differing == 1 else "cases"
    return (
        f"{metric.label} leaves out {differing} {cases} of one row only, "
        f"{metric.undefined or 'where a label map lacks a region'}, so the two means are of "
        "different cases; compare dice"
    )


def other_folds(metric: Metric, pairs: Iterable[tuple[float, float]]) -> str:
    """Return why two rows are not compared, or nothing if the same trials define their means.

    Takes the values of both in each trial of the same seed and fold, NaN where undefined.
    """
    if not metric.of_cases:
        return ""
    differing = sum(math.isnan(one) != math.isnan(other) for one, other in pairs)
    if not differing:
        return ""
    trials = "trial" if differing == 1 else "trials"
    return (
        f"{metric.label} is undefined in {differing} {trials} of one row only, so the two means "
        "are of different folds or seeds"
    )
