"""In which order trials run.

Trials of one backbone and one shape of batches stand together: what a GPU's libraries build for a
shape, they build once. The longest come first, so that the end of a run in several processes does
not wait for one of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from mritk.study.plan import StudyPlan
from mritk.trial import Trial

Key = tuple[object, ...]


def in_order(plan: StudyPlan, seconds: Mapping[str, float]) -> StudyPlan:
    """Return the plan with its trials in the order in which they should run.

    Args:
        plan: Its order holds among trials of one group, and among groups that take equally long.
        seconds: Those that trials are expected to take, by id. A group whose time is unknown may
            take long, and comes first.
    """
    groups: dict[Key, list[Trial]] = defaultdict(list)
    for trial in plan.trials:
        groups[_group(trial)].append(trial)

    def longest(group: list[Trial]) -> float:
        return max(seconds.get(trial.id, math.inf) for trial in group)

    ordered = sorted(groups.values(), key=longest, reverse=True)
    return replace(plan, trials=tuple(trial for group in ordered for trial in group))


def _group(trial: Trial) -> Key:
    """Return what trials have in common whose network sees batches of one shape."""
    protocol = trial.protocol
    batch = getattr(protocol.parameters, "batch_size", 0)
    if isinstance(batch, int):
        batch = min(batch, len(trial.division.train))
    return trial.backbone_name, str(trial.input_size), batch
