"""The leaderboard: tables computed from the predictions in trial files, and from nothing else."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mritk.audit.verdict import flattered, over_folds, verdict_line
from mritk.data.samples import Classification, Task
from mritk.errors import StoreError, UsageError
from mritk.evaluate.metrics import Metric, Value, find_metric, metrics_of
from mritk.protocol import differences
from mritk.results.trialfile import Predictions, TrialRecord

# Trials that differ in one of these are never ranked against each other.
NEVER_RANKED_ACROSS = ("dataset", "dataset_fingerprint", "protocol", "fingerprint", "scheme")
GROUPINGS = ("dataset", "protocol", "backbone", "augmentation", "method", "fold", "seed")
ROW_KEYS = ("backbone", "augmentation")


@dataclass(frozen=True)
class Cell:
    """A metric over the trials of a row.

    Attributes:
        values: One value per finished trial; NaN where undefined.
        reason: Why a value is undefined, or empty.
    """

    values: tuple[float, ...]
    reason: str = ""

    @property
    def mean(self) -> float:
        """Mean over the trials; NaN without any."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation over the trials (n - 1); NaN for fewer than two."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Row:
    """One backbone with one augmentation.

    Attributes:
        keys: Its backbone and augmentation.
        cells: By name of metric.
        clean_cells: The same on the test samples without a copy in training; empty where all are.
        marks: Signs that stand behind each of its numbers: ``†`` copies of test samples were
            trained on, ``‡`` the backbone was pretrained on the dataset.
        seeds: Seeds of its finished trials.
        folds: Folds of its finished trials.
        failed: Number of failed trials.
    """

    keys: Mapping[str, str]
    cells: Mapping[str, Cell]
    clean_cells: Mapping[str, Cell]
    marks: str
    seeds: tuple[int, ...]
    folds: tuple[int, ...]
    failed: int

    @property
    def trials(self) -> int:
        """Number of finished trials."""
        return len(self.seeds)


@dataclass(frozen=True)
class Table:
    """Rows that were trained under identical conditions, best first.

    Attributes:
        keys: What all its rows share: dataset, protocol, fingerprint, …
        task: What is predicted.
        metrics: The columns; the first one sorts.
        rows: The rows.
        test_samples: Number of samples that were tested, over all folds.
        clean_samples: Number of those that were clean: without a copy in training.
        patients: Number of patients among them; 0 where they are unknown.
        folds: Number of folds that the protocol makes.
        skipped: Number of samples that were left out as unreadable.
        grouped: Whether the split kept patients whole.
        clean_classes: Classes that the clean test samples have.
        verdict: What the audit found, over all folds.
        split: The protocol's way of dividing.
        warnings: Reasons why rows cannot be compared as they stand.
    """

    keys: Mapping[str, Any]
    task: Task
    metrics: Sequence[Metric]
    rows: Sequence[Row]
    test_samples: int
    clean_samples: int
    patients: int
    folds: int
    skipped: int
    grouped: bool
    clean_classes: frozenset[int] = frozenset()
    verdict: str = ""
    split: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know of these numbers, one sentence each."""
        notes = [*self.warnings, *([self.verdict] if self.verdict else [])]
        trials = {row.trials for row in self.rows if row.trials}
        if trials == {1}:
            notes.append("One trial per row: no spread can be given.")
        elif trials:
            notes.append(
                "Mean ± standard deviation over trials (seeds and folds); it says how much "
                "retraining moves a score, not how sure the score is on new patients."
            )
        if len(trials) > 1:
            notes.append("Rows have different numbers of trials.")
        if not self.grouped:
            notes.append(
                "Image-level: the dataset names no patients, so images of one patient may stand "
                "on both sides of the split."
            )
        if self.skipped:
            notes.append(f"{self.skipped} unreadable samples were left out (--skip-unreadable).")
        for row in self.rows:
            if row.failed:
                name = " ".join(row.keys.values())
                trials_are = "trial is" if row.failed == 1 else "trials are"
                notes.append(f"{row.failed} failed {trials_are} not in the table: {name}.")
        if any("‡" in row.marks for row in self.rows):
            notes.append("‡ The backbone was pretrained on collections that the dataset is from.")
        if absent := self._absent_among_clean():
            notes.append(
                f"No clean test sample is of class {', '.join(absent)}: clean means over classes "
                f"are over the other classes."
            )
        first = self.metrics[0].name
        shown = [cell for row in self.rows for cell in row.cells.values()]
        shown += [row.clean_cells[first] for row in self.rows if row.clean_cells]
        reasons = {cell.reason for cell in shown if cell.reason}
        notes += [f"nan: {reason}." for reason in sorted(reasons)]
        return notes

    def _absent_among_clean(self) -> list[str]:
        """Return the classes that no clean test sample has, where there are clean columns."""
        if not any(row.clean_cells for row in self.rows) or not isinstance(
            self.task, Classification
        ):
            return []
        return [c for k, c in enumerate(self.task.classes) if k not in self.clean_classes]


@dataclass(frozen=True)
class Leaderboard:
    """All tables of a results folder.

    Attributes:
        tables: The tables.
        drift: Where one protocol name stands for several fingerprints: the fields that differ.
        damaged: Messages about files that could not be read.
    """

    tables: Sequence[Table]
    drift: Sequence[str] = ()
    damaged: Sequence[str] = ()


def build_leaderboard(
    trials: Iterable[TrialRecord | StoreError],
    *,
    metrics: Sequence[str] = (),
    group_by: Sequence[str] = (),
) -> Leaderboard:
    """Compute the leaderboard.

    Args:
        trials: Trial records; errors stand for damaged files.
        metrics: Names of the columns, the first one sorts; empty: all metrics of the task.
        group_by: One table for each value of these, besides what is never ranked across.

    Raises:
        UnknownName: A metric that does not exist.
        UsageError: A grouping that does not exist, or no metric that fits the task.
    """
    for name in group_by:
        if name not in GROUPINGS:
            raise UsageError(f"cannot group by {name!r}; there is {', '.join(GROUPINGS)}")
    for name in metrics:
        find_metric(name)
    keys = list(dict.fromkeys((*NEVER_RANKED_ACROSS, *group_by)))
    groups: dict[tuple[Any, ...], list[TrialRecord]] = defaultdict(list)
    damaged = []
    for trial in trials:
        if isinstance(trial, StoreError):
            damaged.append(str(trial))
        else:
            groups[tuple(getattr(trial, key) for key in keys)].append(trial)
    tables = [
        _table(dict(zip(keys, values, strict=True)), records, metrics)
        for values, records in sorted(groups.items(), key=lambda item: str(item[0]))
    ]
    return Leaderboard(tables, _drift([records[0] for records in groups.values()]), damaged)


def _table(keys: dict[str, Any], records: list[TrialRecord], metrics: Sequence[str]) -> Table:
    task = records[0].task
    known = [metric.name for metric in metrics_of(task)]
    wanted = [find_metric(name, task) for name in metrics if name in known]
    if metrics and not wanted:
        raise UsageError(
            f"none of {', '.join(metrics)} is a metric of a {task.kind}, which {keys['dataset']} "
            f"is; there is {', '.join(known)}"
        )
    columns = wanted or list(metrics_of(task))
    rows: dict[tuple[str, ...], list[TrialRecord]] = defaultdict(list)
    for record in records:
        rows[tuple(getattr(record, key) for key in ROW_KEYS)].append(record)
    built = [
        _row(dict(zip(ROW_KEYS, names, strict=True)), trials, columns)
        for names, trials in rows.items()
    ]
    finished = [r for r in records if r.status == "finished"]
    first_of_fold = {record.fold: record for record in reversed(finished)}
    tests = [record.predictions["test"] for record in first_of_fold.values()]
    verdicts = [first_of_fold[fold].audit for fold in sorted(first_of_fold)]
    return Table(
        keys=keys,
        task=task,
        metrics=columns,
        rows=sorted(built, key=lambda row: _rank(row, columns[0])),
        test_samples=len({id_ for test in tests for id_ in test.id}),
        clean_samples=len({id_ for test in tests for id_ in _clean_ids(test)}),
        patients=len({patient for test in tests for patient in test.patient} - {""}),
        folds=records[0].folds,
        skipped=max(len(record.skipped) for record in records),
        grouped=all(record.grouped for record in records),
        split=json.loads(records[0].protocol_json).get("split", {}),
        clean_classes=frozenset(
            int(k) for t in tests if t.clean is not None for k in np.unique(t.target[t.clean])
        ),
        verdict=verdict_line(over_folds(verdicts)) if verdicts else "",
        warnings=_warnings(finished, built),
    )


def _warnings(finished: Sequence[TrialRecord], rows: Sequence[Row]) -> list[str]:
    """Return what makes rows of one table less than comparable."""
    warnings = []
    tested: dict[int, set[frozenset[str]]] = defaultdict(set)
    divided: dict[int, set[str]] = defaultdict(set)
    for record in finished:
        tested[record.fold].add(frozenset(record.predictions["test"].id))
        divided[record.fold].add(str(record.audit.get("split")))
    if any(len(samples) > 1 for samples in tested.values()):
        warnings.append(
            "Trials of one fold have different test samples, so their scores cannot be compared; "
            "was the split made by another version of mritk or scikit-learn?"
        )
    elif any(len(digests) > 1 for digests in divided.values()):
        warnings.append(
            "Trials of one fold were trained on different samples: between them the audit, or "
            "what it drops, has changed. 'mritk run --rerun' trains again."
        )
    if len({frozenset(row.folds) for row in rows if row.trials}) > 1:
        warnings.append("Rows were tested on different folds, that is, on different samples.")
    for row in rows:
        if len(set(zip(row.seeds, row.folds, strict=True))) < row.trials:
            name = " ".join(row.keys.values())
            warnings.append(f"{name} has several trials of the same seed and fold.")
    return warnings


def _row(keys: dict[str, str], records: list[TrialRecord], metrics: Sequence[Metric]) -> Row:
    finished = [record for record in records if record.status == "finished"]
    finished.sort(key=lambda record: (record.seed, record.fold))
    tests = [record.predictions["test"] for record in finished]
    leaking = any(test.clean is not None and not test.clean.all() for test in tests)
    marks = "†" if any(flattered(record.audit) for record in finished) else ""
    marks += "‡" if any(record.audit.get("pretraining") for record in finished) else ""
    return Row(
        keys=keys,
        cells={m.name: _cell([m.compute(t.target, t.score) for t in tests]) for m in metrics},
        clean_cells={m.name: _clean_cell(m, tests) for m in metrics if leaking},
        marks=marks,
        seeds=tuple(record.seed for record in finished),
        folds=tuple(record.fold for record in finished),
        failed=len(records) - len(finished),
    )


def _cell(values: Sequence[Value]) -> Cell:
    reason = next((value.reason for value in values if value.reason), "")
    return Cell(tuple(value.value for value in values), reason)


def _clean_cell(metric: Metric, tests: Sequence[Predictions]) -> Cell:
    """Return the metric over clean test samples; classes that none of them has do not count.

    Means over other classes in other folds are not comparable, so they are undefined.
    """
    clean = [slice(None) if test.clean is None else test.clean for test in tests]
    targets = [test.target[rows] for test, rows in zip(tests, clean, strict=True)]
    if metric.per_class and len({frozenset(found.tolist()) for found in targets}) > 1:
        reason = "clean test samples of the folds are of different classes"
        return Cell((math.nan,) * len(tests), reason)
    scores = [test.score[rows] for test, rows in zip(tests, clean, strict=True)]
    pairs = zip(targets, scores, strict=True)
    return _cell([metric.compute(t, s, leave_out_absent=True) for t, s in pairs])


def _clean_ids(test: Predictions) -> list[str]:
    return test.id if test.clean is None else np.asarray(test.id)[test.clean].tolist()


def _rank(row: Row, metric: Metric) -> tuple[bool, float, str]:
    mean = row.cells[metric.name].mean
    undefined = math.isnan(mean)
    value = 0.0 if undefined else -mean if metric.higher_is_better else mean
    return undefined, value, " ".join(row.keys.values())


def _drift(records: Sequence[TrialRecord]) -> list[str]:
    by_dataset: dict[tuple[str, str], dict[str, TrialRecord]] = defaultdict(dict)
    for record in records:
        key = (record.dataset, record.protocol)
        by_dataset[key].setdefault(record.fingerprint, record)
    lines = []
    for (dataset, protocol), found in sorted(by_dataset.items()):
        first, *others = (found[fingerprint] for fingerprint in sorted(found))
        for other in others:
            changed = differences(json.loads(first.protocol_json), json.loads(other.protocol_json))
            lines.append(
                f"{dataset}, {protocol}: {first.fingerprint[:8]} and {other.fingerprint[:8]} "
                f"differ in {'; '.join(changed)}"
            )
    return lines
