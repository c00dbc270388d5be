"""The gate: compare two results folders trial by trial, and fail on evidence only."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mritk.errors import ExitCode, StoreError, UsageError
from mritk.evaluate.comparison import Comparison, Verdict, adjusted
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.holm import holm
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.metrics import find_metric, metrics_of
from mritk.evaluate.run_values import Scored
from mritk.results.analysis import Analysis
from mritk.results.footnotes import doubts_of
from mritk.results.table import row_name
from mritk.store.trial_file import TrialRecord

RULE = re.compile(
    r"^\s*(?P<metric>\w+)\s*(?P<sign>[<>])\s*(?P<number>[-+]?[\d.]+(e-?\d+)?)\s*(?P<unit>pt)?\s*$"
)
ONE_SIDED = 0.025
BASE, HEAD = "base ", "head "

# What data and recipe are, whatever their files are called.
CONTENTS = ("dataset_fingerprint", "fingerprint")
NAMES = ("dataset", "protocol")
ROW = ("backbone", "augmentation")
# Trials that agree in these are one and the same, before and after a change of the code.
PAIRED_BY = (*CONTENTS, *ROW, "fold", "seed")
# Where none is the same, one that agrees in these tells why.
NAMED_ALIKE = (*NAMES, *ROW, "fold", "seed")


@dataclass(frozen=True)
class Rule:
    """A tolerated difference: ``balanced_accuracy < -1.0pt`` fails a fall by more than a point.

    Attributes:
        metric: Name of the metric.
        below: Whether a difference below the tolerance fails, or one above.
        tolerance: In the unit of the metric.
    """

    metric: str
    below: bool
    tolerance: float

    @classmethod
    def from_text(cls, text: str) -> Rule:
        """Return the rule ``METRIC < NUMBER[pt]`` or ``METRIC > NUMBER[pt]``; pt are hundredths.

        Raises:
            UsageError: It is not of this form.
        """
        match = RULE.match(text)
        try:
            number = float(match["number"]) if match else math.nan
        except ValueError:
            number = math.nan
        if match is None or math.isnan(number):
            raise UsageError(
                f"cannot read the rule {text!r}; write it as 'balanced_accuracy < -1.0pt' or "
                f"'log_loss > 0.05' (head minus base; pt: hundredths)"
            )
        return cls(match["metric"], match["sign"] == "<", number / (100 if match["unit"] else 1))

    def __str__(self) -> str:
        return f"{self.metric} {'<' if self.below else '>'} {self.tolerance:g}"


@dataclass(frozen=True)
class Change:
    """What became of one row in one metric.

    Attributes:
        row: Name of the row.
        dataset: Its dataset.
        protocol: Its protocol.
        metric: The metric.
        base: Mean before.
        head: Mean after.
        comparison: Head minus base.
        broken: Rules that it breaks, by evidence.
    """

    row: str
    dataset: str
    protocol: str
    metric: Metric
    base: float
    head: float
    comparison: Comparison
    broken: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether the head is better or worse than the base."""
        return self.comparison.verdict


@dataclass(frozen=True)
class Comparisons:
    """All changes between two results folders.

    Attributes:
        changes: One per row and metric.
        missing: Trials of the base without a finished trial in the head.
        incomparable: Rows whose trials were made under other conditions, with the fields.
        added: Rows that only the head has, with dataset and protocol.
        doubtful: What makes the scores of rows that were compared doubtful, before or after.
        damaged: Files that could not be read.
        ruled: Whether rules were given; without any, a worse row breaks the gate.
    """

    changes: Sequence[Change]
    missing: Sequence[str] = ()
    incomparable: Sequence[str] = ()
    added: Sequence[str] = ()
    doubtful: Sequence[str] = ()
    damaged: Sequence[str] = ()
    ruled: bool = False

    @property
    def broken(self) -> list[Change]:
        """The changes that break the gate."""
        if self.ruled:
            return [change for change in self.changes if change.broken]
        return [change for change in self.changes if change.verdict is Verdict.WORSE]

    @property
    def undefined(self) -> list[Change]:
        """The changes without a value before or after, which say nothing, good or bad."""
        return [c for c in self.changes if math.isnan(c.comparison.difference)]

    @property
    def untested(self) -> list[Change]:
        """The changes with a difference that no test could judge."""
        return [
            c
            for c in self.changes
            if not c.comparison.tested and not math.isnan(c.comparison.difference)
        ]

    @property
    def exit_code(self) -> ExitCode:
        """1 if evidence shows a regression; else 4 if something could not be tested; else 0."""
        if self.broken:
            return ExitCode.GATE_FAILED
        lacking = (self.missing, self.incomparable, self.damaged, self.undefined, self.untested)
        complete = bool(self.changes) and not any(lacking)
        return ExitCode.OK if complete else ExitCode.UNAVAILABLE


@dataclass
class _Pairs:
    """Trials that were paired: by table and row, those of the base and those of the head."""

    rows: dict[tuple[Any, ...], dict[str, list[list[TrialRecord]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: [[], []]))
    )
    missing: list[str] = field(default_factory=list)
    incomparable: dict[str, None] = field(default_factory=dict)


def compare_folders(
    base: Iterable[TrialRecord | StoreError],
    head: Iterable[TrialRecord | StoreError],
    *,
    metrics: Sequence[str] = (),
    rules: Sequence[Rule] = (),
    analysis: Analysis | None = None,
) -> Comparisons:
    """Compare what two results folders hold, trial by trial.

    Trials are paired by the contents of dataset and protocol (not by their names), backbone,
    augmentation, fold and seed. The family of Holm's correction is all rows in one metric.

    Args:
        base: Trials before.
        head: Trials after.
        metrics: Names of the metrics; empty: those of the rules, or the first one of the task.
        rules: What breaks the gate.
        analysis: How predictions are evaluated.

    Raises:
        UnknownName: A metric that does not exist.
    """
    analysis = analysis or Analysis()
    wanted = list(dict.fromkeys((*metrics, *(rule.metric for rule in rules))))
    for name in wanted:
        find_metric(name, extra=analysis.extra_metrics)
    before, damaged_before = _sorted_out(base)
    after, damaged_after = _sorted_out(head)
    pairs = _paired(before, after)
    changes = [
        change for table in pairs.rows.values() for change in _changes(table, wanted, analysis)
    ]
    return Comparisons(
        _judged(changes, rules),
        pairs.missing,
        list(pairs.incomparable),
        _added(before.values(), after.values()),
        _doubtful(pairs),
        [*damaged_before, *damaged_after],
        bool(rules),
    )


def _sorted_out(
    trials: Iterable[TrialRecord | StoreError],
) -> tuple[dict[tuple[Any, ...], TrialRecord], list[str]]:
    """Return the trials by what pairs them, a finished one before a failed one; and damage."""
    found: dict[tuple[Any, ...], TrialRecord] = {}
    damaged = []
    for trial in trials:
        if isinstance(trial, StoreError):
            damaged.append(str(trial))
            continue
        key = _key(trial, *PAIRED_BY)
        if key not in found or trial.status == "finished":
            found[key] = trial
    return found, damaged


def _key(record: TrialRecord, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in names)


def _told(record: TrialRecord) -> str:
    """Return the name of a trial's row with those of its dataset and protocol."""
    name = row_name(record.backbone, record.augmentation)
    return f"{name} on {record.dataset}, {record.protocol}"


def _added(before: Iterable[TrialRecord], after: Iterable[TrialRecord]) -> list[str]:
    """Return the rows that only the head has, be it under another name or with other contents."""
    known = {_key(old, *by, *ROW) for old in before for by in (CONTENTS, NAMES)}
    return sorted(
        {
            _told(new)
            for new in after
            if not known & {_key(new, *by, *ROW) for by in (CONTENTS, NAMES)}
        }
    )


def _doubtful(pairs: _Pairs) -> list[str]:
    """Return what a reader must know of the trials that were compared, one line per row."""
    return sorted(
        {
            f"{_told(record)}: {doubt}"
            for table in pairs.rows.values()
            for sides in table.values()
            for record in (*sides[0], *sides[1])
            for doubt in doubts_of(record)
        }
    )


def _paired(
    before: Mapping[tuple[Any, ...], TrialRecord], after: Mapping[tuple[Any, ...], TrialRecord]
) -> _Pairs:
    pairs = _Pairs()
    by_name = {_key(record, *NAMED_ALIKE): record for record in after.values()}
    for key, old in sorted(before.items(), key=lambda item: (*_key(item[1], *NAMES), str(item[0]))):
        if old.status != "finished":
            continue
        name, new = row_name(old.backbone, old.augmentation), after.get(key)
        new = by_name.get(_key(old, *NAMED_ALIKE)) if new is None else new
        told = _told(old)
        if new is None or new.status != "finished":
            why = "failed" if new is not None else "is missing"
            pairs.missing.append(f"{told}, fold {old.fold}, seed {old.seed} {why} in the head")
        elif fields := _differing(old, new):
            pairs.incomparable[f"{told}: {'; '.join(fields)}"] = None
        else:
            table = _key(old, *CONTENTS)
            pairs.rows[table][name][0].append(old)
            pairs.rows[table][name][1].append(new)
    return pairs


def _differing(old: TrialRecord, new: TrialRecord) -> list[str]:
    """Return in what two trials of one name were made under other conditions."""
    told = []
    if old.dataset_fingerprint != new.dataset_fingerprint:
        told.append(
            f"the data differ ({old.dataset_fingerprint[:8]} | {new.dataset_fingerprint[:8]})"
        )
    if old.fingerprint != new.fingerprint:
        changed = old.stored_protocol.differences(new.stored_protocol)
        told.append(f"the protocol differs in {', '.join(changed)}")
    if not told and set(old.predictions["test"].id) != set(new.predictions["test"].id):
        told.append("the test sets differ")
    return told


def _changes(
    table: Mapping[str, Sequence[Sequence[TrialRecord]]],
    wanted: Sequence[str],
    analysis: Analysis,
) -> list[Change]:
    """Return the changes of the rows of one table, not yet corrected for their number."""
    some = next(iter(table.values()))[0][0]
    known = {m.name: m for m in metrics_of(some.task, extra=analysis.extra_metrics, shown=False)}
    chosen = [known[name] for name in wanted if name in known]
    chosen = chosen or ([] if wanted else [metrics_of(some.task)[0]])
    rows: dict[str, list[Scored]] = {}
    try:
        for name, (old, new) in table.items():
            rows[BASE + name] = [analysis.scored(record) for record in old]
            rows[HEAD + name] = [analysis.scored(record) for record in new]
    except Undefined as undefined:
        raise UsageError(f"{some.dataset}: {undefined}") from undefined
    evidence = Evidence(
        rows,
        chosen,
        analysis.resamples,
        analysis.interval,
        given_these_models=analysis.given_these_models,
    )
    pairs = [(HEAD + name, BASE + name) for name in table]
    return [
        Change(
            name,
            some.dataset,
            some.protocol,
            metric,
            evidence.estimate(BASE + name, metric).point,
            evidence.estimate(HEAD + name, metric).point,
            replace(comparison, first=name, second=name),
        )
        for metric in chosen
        for name, comparison in zip(table, evidence.compare(pairs, metric), strict=True)
    ]


def _judged(changes: Sequence[Change], rules: Sequence[Rule]) -> list[Change]:
    """Return the changes, corrected over the rows of each metric, with the rules they break."""
    judged: list[Change] = []
    for name in dict.fromkeys(change.metric.name for change in changes):
        family = [change for change in changes if change.metric.name == name]
        corrected = adjusted([change.comparison for change in family])
        told = [
            replace(change, comparison=comparison)
            for change, comparison in zip(family, corrected, strict=True)
        ]
        for rule in rules:
            if rule.metric == name:
                told = _broken(told, rule)
        judged += told
    return judged


def _broken(family: Sequence[Change], rule: Rule) -> list[Change]:
    p = [change.comparison.p_beyond(rule.tolerance, below=rule.below) for change in family]
    shown = holm(np.asarray(p)) < ONE_SIDED  # NaN is no evidence
    return [
        replace(change, broken=(*change.broken, str(rule))) if breaks else change
        for change, breaks in zip(family, shown, strict=True)
    ]
