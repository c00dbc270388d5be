"""The scores of groups of samples, and how sure each is: patients of the group, and retraining.

What retraining changes is estimated from the few runs of a row, and in a small group this estimate
is hardly more than noise, of which the positive part would widen every interval. So it is averaged
over groups and rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mritk.evaluate.estimate import Estimate
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.group_gap import GroupScores
from mritk.evaluate.metric import Metric
from mritk.evaluate.run_spread import between_runs


def group_scores(groups: Mapping[str, Evidence], metric: Metric) -> dict[str, GroupScores]:
    """Return, for each row, its scores by group: those that exist and whose variance is known.

    Args:
        groups: By group, what the scores of its samples can bear; of every row.
        metric: The metric.
    """
    variances, dofs = [], []
    for evidence in groups.values():
        for row, trials in evidence.rows.items():
            if row in evidence.derived:
                continue
            runs = evidence.runs(row, range(len(trials)), metric)
            points = np.asarray([run.point for run in runs])
            if len(runs) > 1 and evidence.parts < 2 and np.isfinite(points).all():
                values = np.stack([run.resampled for run in runs])
                variances.append(between_runs(points, values, cautious=False))
                dofs.append(len(runs) - 1)
    pooled = max(0.0, float(np.average(variances, weights=dofs))) if variances else math.nan
    rows = dict.fromkeys(row for evidence in groups.values() for row in evidence.rows)
    found = {}
    for row in rows:
        of_groups = {
            name: _spread(evidence.estimate(row, metric), evidence, row, pooled, sum(dofs))
            for name, evidence in groups.items()
            if row in evidence.rows
        }
        known = {name: part for name, part in of_groups.items() if part[1] > 0}
        columns = np.asarray(list(known.values()), dtype=np.float64).reshape(-1, 3)
        found[row] = GroupScores(list(known), columns[:, 0], columns[:, 1], columns[:, 2])
    return found


def _spread(
    estimate: Estimate, evidence: Evidence, row: str, pooled: float, dof: int
) -> tuple[float, float, float]:
    """Return value, standard error and degrees of freedom of one group; NaN where unknown."""
    training, runs = estimate.training, len({trial.run for trial in evidence.rows[row]})
    own = estimate.standard_error**2
    if training is None or evidence.parts > 1 or math.isnan(pooled) or not own > 0:
        return estimate.point, estimate.standard_error, estimate.dof
    patients = own - training.variance
    if not patients > 0:
        return estimate.point, estimate.standard_error, estimate.dof
    # Welch's formula the other way: what the patients alone have.
    of_training = training.variance**2 / training.dof if training.variance > 0 else 0.0
    rest = own**2 / estimate.dof - of_training
    of_patients = patients**2 / rest if rest > 0 else math.inf
    total = patients + pooled / runs
    squares = patients**2 / of_patients + (pooled / runs) ** 2 / dof
    return estimate.point, math.sqrt(total), total**2 / squares if squares > 0 else math.inf
