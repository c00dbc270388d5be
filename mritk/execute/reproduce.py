"""Train a stored trial again from what it keeps of itself, and compare the predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mritk.errors import MritkError, Unavailable, UnknownName, UsageError
from mritk.evaluate.metrics import metrics_of
from mritk.execute.claim import stamp_of
from mritk.execute.serial import SerialRun
from mritk.machine.device import choose_device
from mritk.machine.engine import Engine
from mritk.plugins.registry import Registry
from mritk.protocol.stored import StoredProtocol
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialRecord, read_trial
from mritk.store.trial_state import TrialState
from mritk.study.benchmark import Benchmark, find_protocol
from mritk.study.plan import Planner, StudyPlan
from mritk.trial import Trial


@dataclass(frozen=True)
class Agreement:
    """How a trial and its repetition agree.

    Attributes:
        largest: The largest difference between two scores of one test sample.
        decisions: Number of test samples whose class differs; 0 where there are no classes.
        samples: Number of test samples.
        scores: By metric: the stored value and the new one; None where undefined.
        file: Where the new trial stands, or stood.
    """

    largest: float
    decisions: int
    samples: int
    scores: Mapping[str, tuple[float | None, float | None]]
    file: str

    def text(self) -> str:
        """Return the comparison for a person."""
        from tabulate import tabulate

        if self.largest == 0:
            head = "Bit-identical."
        else:
            head = (
                f"Scores differ by at most {self.largest:.2g}; {self.decisions} of {self.samples} "
                "decisions differ."
            )
        rows = [[name, *map(_text, pair)] for name, pair in self.scores.items()]
        return f"{head}\n\n{tabulate(rows, ['test', 'stored', 'again'])}"


def _text(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4f}"


def reproduce(
    record: TrialRecord,
    benchmark: Benchmark,
    planner: Planner,
    into: ResultsFolder,
    device: str,
) -> Agreement:
    """Train the trial of a record again and compare.

    Args:
        record: A finished trial.
        benchmark: The benchmark that it was part of.
        planner: Resolves its names.
        into: Where the new trial goes.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: The trial has no scores to compare.
        Unavailable: What would be trained is another trial; the text tells in what.
        MritkError: The training fails.
    """
    if not record.scored:
        raise UsageError(
            f"trial {record.id[:8]} has no scores that a rerun could be compared to; train it "
            "into another folder with 'mritk run -o'"
        )
    into.require_writable()
    plan, trial = planned_again(record, benchmark, planner, into, "reproduced")
    stamps = {trial.id: stamp_of(into.trial_path(trial.id))}
    states = {trial.id: TrialState.ABSENT}
    plan = replace(plan, trials=(trial,), states=states, stamps=stamps)
    engine = Engine(choose_device(device))
    machine = record.provenance.get("machine", {})
    threads = int(machine.get("threads", 0))
    run = SerialRun(planner.registry, into, planner.workspace, engine, threads=threads)
    for outcome in run.run(plan):  # none if another process has trained it meanwhile
        if outcome.error:
            raise MritkError(f"the rerun failed: {outcome.error}")
    path = into.trial_path(trial.id)
    return agreement(record, read_trial(path), str(path))


def planned_again(
    record: TrialRecord, benchmark: Benchmark, planner: Planner, into: ResultsFolder, what: str
) -> tuple[StudyPlan, Trial]:
    """Return a plan with the trial of a record in it, its data open, and that trial.

    Args:
        record: A trial.
        benchmark: The benchmark that it was part of.
        planner: Resolves its names.
        into: Where the plan looks for trials.
        what: What is to be done with it, for the message: ``reproduced``.

    Raises:
        Unavailable: What is planned is another trial; the text tells in what.
    """
    plan = planner.plan(_narrowed(benchmark, record, planner.registry), into)
    trial = next((trial for trial in plan.trials if trial.id == record.id), None)
    if trial is None:
        raise Unavailable(_why_another(record, plan.trials, what))
    return plan, trial


def _narrowed(benchmark: Benchmark, record: TrialRecord, registry: Registry) -> Benchmark:
    """Return the part of a benchmark that the trial is in, as far as names tell."""

    def same_backbone(name: str) -> bool:
        try:
            return registry.backbone(name).name == record.backbone
        except (UnknownName, Unavailable):
            return False

    backbones = tuple(name for name in benchmark.backbones if same_backbone(name))
    recipes = [
        (name, changes)
        for name, changes in benchmark.recipes()
        if find_protocol(name, registry, changes).name == record.protocol
    ]
    if recipes:  # one, but for files of one name
        protocols = tuple(name for name, changes in recipes if changes == recipes[0][1])
        vary = {key: [value] for key, value in recipes[0][1].items()}
        benchmark = replace(benchmark, protocols=protocols, vary=vary)
    return replace(
        benchmark,
        backbones=backbones or benchmark.backbones,
        augmentations=(record.augmentation,),
        seeds=(record.seed,),
        folds=(record.fold,),
    )


def _why_another(record: TrialRecord, trials: tuple[Trial, ...], what: str) -> str:
    """Return in what the trials that would be trained differ from the stored one."""
    of_its_data = [trial for trial in trials if trial.dataset.record.name == record.dataset]
    told = [f"{trial}: {'; '.join(_changes(record, trial))}" for trial in of_its_data or trials]
    return (
        f"trial {record.id[:8]} cannot be {what}: "
        f"{'; or '.join(told) or 'its command does not plan this trial'}"
    )


def _changes(record: TrialRecord, trial: Trial) -> list[str]:
    found = []
    if trial.dataset.samples.fingerprint != record.dataset_fingerprint:
        found.append("the data have changed, or are read as different pixels")
    if trial.protocol.fingerprint != record.fingerprint:
        planned = StoredProtocol.from_json(trial.protocol.canonical_json())
        fields = record.stored_protocol.differences(planned)
        found.append(f"the protocol differs in {', '.join(fields)}")
    if trial.backbone_name != record.backbone:
        found.append(f"the backbone is no longer {record.backbone}")
    return found or ["its split, weight file or one-file plugin has changed"]


def agreement(stored: TrialRecord, again: TrialRecord, file: str) -> Agreement:
    """Compare the test predictions of two trials of one identity."""
    old, new = stored.predictions["test"], again.predictions["test"]
    at = {name: row for row, name in enumerate(new.id)}
    scores = new.score[[at[name] for name in old.id]]
    decisions = 0
    if stored.task.classes:
        decisions = int((scores.argmax(axis=1) != old.score.argmax(axis=1)).sum())
    apart = np.abs(scores.astype(np.float64) - old.score)
    apart[np.isnan(scores) & np.isnan(old.score)] = 0  # a region that a case does not have
    largest = float(np.nan_to_num(apart, nan=np.inf).max()) if len(scores) else 0.0
    pairs = {}
    for metric in metrics_of(stored.task):
        values = [metric.compute(old.target, both).value for both in (old.score, scores)]
        pairs[metric.name] = tuple(None if math.isnan(v) else v for v in values)
    return Agreement(largest, decisions, len(scores), pairs, file)  # type: ignore[arg-type]
