"""The scores of groups of samples, and how sure each is: patients of the group, and retraining.

What retraining changes is estimated from the few runs of a row, and in a small group this estimate
is hardly more than noise, of which the positive part would widen every interval. So it is averaged
over the groups of a row: on the scale on which scores are nearly normal
(:mod:`mritk.evaluate.scale`), since a run that is better all over gains more where half of the
samples are wrong than where few are. Rows then share it as they do without groups
(:mod:`mritk.evaluate.run_spread`): one that is less stable than the others rests on its own runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.estimate import Estimate
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.group_gap import GroupScores
from mritk.evaluate.metric import Metric
from mritk.evaluate.run_spread import RunSpread, Training, between_runs
from mritk.evaluate.scale import Scale


@dataclass
class _Sums:
    """Sums over groups whose ratio is the variance between runs, on the scale."""

    variance: float = 0.0
    steps: float = 0.0
    dof: int = 0
    groups: int = 0

    def add(self, other: _Sums) -> None:
        self.variance += other.variance
        self.steps += other.steps
        self.dof += other.dof
        self.groups += other.groups

    @property
    def ratio(self) -> float:
        return self.variance / self.steps if self.steps > 0 else 0.0


def group_scores(groups: Mapping[str, Evidence], metric: Metric) -> dict[str, GroupScores]:
    """Return, for each row, its scores by group: those that exist and whose variance is known."""
    scale = Scale(*metric.bounds)
    rows = dict.fromkeys(row for evidence in groups.values() for row in evidence.rows)
    sums = {row: _Sums() for row in rows}
    table = _Sums()
    for evidence in groups.values():
        for row in evidence.rows:
            found = _between_runs(evidence, row, metric, scale)
            sums[row].add(found)
            if row not in evidence.derived:
                table.add(found)
    spread = RunSpread(max(0.0, table.ratio), table.dof)
    scores = {}
    for row in rows:
        of_groups, shared_dof = {}, math.inf
        for name, evidence in groups.items():
            if row in evidence.rows:
                estimate = evidence.estimate(row, metric)
                runs = len(evidence.runs(row, metric))
                training = spread.of_row(sums[row].ratio, runs, sums[row].groups)
                if evidence.parts > 1 or not table.dof:
                    training = None
                of_groups[name] = _spread(estimate, training, scale)
                shared_dof = min(shared_dof, training.dof if training else math.inf)
        known = {name: part for name, part in of_groups.items() if part[1] > 0}
        points, errors, dof, shared = np.asarray(list(known.values()), float).reshape(-1, 4).T
        scores[row] = GroupScores(
            list(known), points, errors, dof, metric.bounds, shared, shared_dof
        )
    return scores


def _between_runs(evidence: Evidence, row: str, metric: Metric, scale: Scale) -> _Sums:
    """Return what one group shows of the variance between the runs of a row."""
    runs = evidence.runs(row, metric)
    points = np.asarray([run.point for run in runs])
    if len(runs) < 2 or evidence.parts > 1 or not np.isfinite(points).all():
        return _Sums()
    values = np.stack([run.resampled for run in runs])
    dof = len(runs) - 1
    step = float(scale.steps(points.mean(keepdims=True))[0])
    return _Sums(dof * between_runs(points, values, cautious=False), dof * step**2, dof, 1)


def _spread(
    estimate: Estimate, training: Training | None, scale: Scale
) -> tuple[float, float, float, float]:
    """Return value, standard error, its degrees of freedom, and the part of it that training has.

    NaN where they are unknown, but that part 0.

    Args:
        estimate: Of the group alone.
        training: What training again changes of the mean over runs, on the scale; None: what it
            does here is all that is known.
        scale: The scale.
    """
    as_it_is = estimate.point, estimate.standard_error, estimate.dof, 0.0
    here, own = estimate.training, estimate.standard_error**2
    if training is None or here is None or not own > 0:
        return as_it_is
    patients = own - here.variance
    if not patients > 0:
        return as_it_is
    # Welch's formula the other way: what the patients alone have.
    of_training = here.variance**2 / here.dof if here.variance > 0 else 0.0
    rest = own**2 / estimate.dof - of_training
    of_patients = patients**2 / rest if rest > 0 else math.inf
    step = float(scale.steps(np.asarray([estimate.point]))[0])
    variance = step**2 * training.variance
    total = patients + variance
    squares = patients**2 / of_patients + variance**2 / training.dof
    dof = total**2 / squares if squares > 0 else math.inf
    return estimate.point, math.sqrt(total), dof, math.sqrt(variance)
