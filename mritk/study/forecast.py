"""What trials will take, as far as finished ones tell: time, memory, disk.

A trial is expected to take what the first finished trials of the plan took that differ from it in
fold or seed alone.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from mritk.results.cost import stored_cost
from mritk.results.table_trial import TableTrial
from mritk.results.trial_index import TrialIndex
from mritk.store.folder import ResultsFolder
from mritk.store.trial_state import TrialState
from mritk.study.plan import StudyPlan
from mritk.trial import Trial

Key = tuple[object, ...]
Cost = Mapping[str, float]

# More of the same trials tell no more of the next one, and each may be a file to read.
ENOUGH = 30
HOST, DEVICE = "peak_host_memory_bytes", "peak_device_memory_bytes"


@dataclass(frozen=True)
class Forecast:
    """What trials will take, by id; those of which nothing is known are missing.

    Attributes:
        seconds: The median of the time.
        host_bytes: The most memory of a process, libraries and mapped files included.
        device_bytes: The most memory of tensors on a GPU.
        file_bytes: The median size of a trial file.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    host_bytes: Mapping[str, float] = field(default_factory=dict)
    device_bytes: Mapping[str, float] = field(default_factory=dict)
    file_bytes: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: StudyPlan, results: ResultsFolder) -> Forecast:
        """Look at the finished trials of a plan."""
        finished = _some_of_each_kin(plan.in_state(TrialState.FINISHED))
        costs: dict[Key, list[Cost]] = defaultdict(list)
        sizes: dict[Key, list[float]] = defaultdict(list)
        if finished:
            with TrialIndex(results) as index:
                for trial_id, found in index.look_up(finished):
                    if isinstance(found, TableTrial):
                        kin = _kin(finished[trial_id])
                        costs[kin].append(found.facts.cost)
                        with suppress(FileNotFoundError):  # another process trains it anew
                            sizes[kin].append(float(results.trial_path(trial_id).stat().st_size))

        def by_trial(values: Mapping[Key, Iterable[float]], one: Callable[..., float]) -> Cost:
            usual = {kin: one(known) for kin, known in _known(values).items() if known}
            return {trial.id: usual[_kin(trial)] for trial in plan.trials if _kin(trial) in usual}

        def peaks(name: str) -> dict[Key, list[float]]:
            return {kin: [cost[name] for cost in of if name in cost] for kin, of in costs.items()}

        took = {kin: [stored_cost(cost, "seconds") for cost in of] for kin, of in costs.items()}
        return cls(
            by_trial(took, statistics.median),
            by_trial(peaks(HOST), max),
            by_trial(peaks(DEVICE), max),
            by_trial(sizes, statistics.median),
        )


def _some_of_each_kin(trials: Iterable[Trial]) -> dict[str, Trial]:
    """Return trials by id, the first :data:`ENOUGH` of those that are alike."""
    found: dict[Key, list[Trial]] = defaultdict(list)
    for trial in trials:
        kin = found[_kin(trial)]
        if len(kin) < ENOUGH:
            kin.append(trial)
    return {trial.id: trial for kin in found.values() for trial in kin}


def _known(values: Mapping[Key, Iterable[float]]) -> dict[Key, list[float]]:
    return {kin: [v for v in all_of if not math.isnan(v)] for kin, all_of in values.items()}


def _kin(trial: Trial) -> Key:
    data, recipe = trial.dataset.record.name, trial.protocol.fingerprint
    return data, trial.backbone_name, trial.augmentation.name, recipe
