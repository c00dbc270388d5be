"""In which order trials run, and how long they may take.

Trials of one backbone and one shape of batches stand together: what a GPU's libraries build for a
shape, they build once. The longest come first, so that the end of a run in several processes does
not wait for one of them.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from mritk.results.table_trial import TableTrial
from mritk.results.trial_index import TrialIndex
from mritk.store.folder import ResultsFolder
from mritk.store.trial_state import TrialState
from mritk.study.plan import StudyPlan
from mritk.trial import Trial

Key = tuple[object, ...]

# In the cost of a trial that was trained in several goes.
RESUMED = "resumed_after_epochs"


def expected_seconds(plan: StudyPlan, results: ResultsFolder) -> dict[str, float]:
    """Return how long trials may take, by id, as far as anything is known of it.

    A trial is expected to take the median of the finished trials of the plan that differ from it in
    fold or seed alone.
    """
    finished = {trial.id: trial for trial in plan.in_state(TrialState.FINISHED)}
    took: dict[Key, list[float]] = defaultdict(list)
    if finished:
        with TrialIndex(results) as index:
            for trial_id, found in index.look_up(finished):
                if isinstance(found, TableTrial):
                    took[_kin(finished[trial_id])] += _seconds(found.facts.cost)
    usual = {kin: statistics.median(seconds) for kin, seconds in took.items() if seconds}
    return {trial.id: usual[_kin(trial)] for trial in plan.trials if _kin(trial) in usual}


def _seconds(cost: Mapping[str, float]) -> list[float]:
    """Return the seconds of a trial; none where a part of them was spent before a stop."""
    if RESUMED in cost:
        return []
    phases = [seconds for name, seconds in cost.items() if name.startswith("seconds_")]
    return [sum(phases)] if phases else []


def in_order(plan: StudyPlan, seconds: Mapping[str, float]) -> StudyPlan:
    """Return the plan with its trials in the order in which they should run.

    Args:
        plan: Its order holds among trials of one group, and among groups that take equally long.
        seconds: As :func:`expected_seconds` returns them. A group whose time is unknown may take
            long, and comes first.
    """
    groups: dict[Key, list[Trial]] = defaultdict(list)
    for trial in plan.trials:
        groups[_group(trial)].append(trial)

    def longest(group: list[Trial]) -> float:
        return max(seconds.get(trial.id, math.inf) for trial in group)

    ordered = sorted(groups.values(), key=longest, reverse=True)
    return replace(plan, trials=tuple(trial for group in ordered for trial in group))


def _kin(trial: Trial) -> Key:
    data, recipe = trial.dataset.record.name, trial.protocol.fingerprint
    return data, trial.backbone_name, trial.augmentation.name, recipe


def _group(trial: Trial) -> Key:
    """Return what trials have in common whose network sees batches of one shape."""
    protocol = trial.protocol
    batch = getattr(protocol.parameters, "batch_size", 0)
    if isinstance(batch, int):
        batch = min(batch, len(trial.division.train))
    return trial.backbone_name, str(trial.input_size), batch
