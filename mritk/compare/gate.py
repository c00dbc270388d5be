"""The gate: compare two results folders trial by trial, and fail on evidence only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mritk.compare.paired_trials import PairedTrials
from mritk.compare.rule import Rule
from mritk.errors import ExitCode, StoreError, UsageError
from mritk.evaluate.comparison import Comparison, Verdict, adjusted
from mritk.evaluate.holm import holm
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.metrics import find_metric, metrics_of, not_of_the_task
from mritk.evaluate.run_values import Scored
from mritk.results.analysis import Analysis
from mritk.results.over_defined import mean_over
from mritk.store.trial_file import TrialRecord

ONE_SIDED = 0.025
BASE, HEAD = "base ", "head "


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
        over: Over which trials the means are, where some have no value; else empty.
    """

    row: str
    dataset: str
    protocol: str
    metric: Metric
    base: float
    head: float
    comparison: Comparison
    broken: tuple[str, ...] = ()
    over: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the head is better or worse than the base, where the metric has a direction."""
        directed = self.metric.higher_is_better is not None
        return self.comparison.verdict if directed else Verdict.CANNOT_TELL


@dataclass(frozen=True)
class Comparisons:
    """All changes between two results folders.

    Attributes:
        changes: One per row and metric.
        pairs: The trials that were compared, and those that could not be.
        ruled: Whether rules were given; without any, a worse row breaks the gate.
        unused: Metrics that were asked for and that the task of no dataset of the base has.
    """

    changes: Sequence[Change]
    pairs: PairedTrials
    ruled: bool = False
    unused: Sequence[str] = ()

    @property
    def broken(self) -> list[Change]:
        """The changes that break the gate."""
        if self.ruled:
            return [change for change in self.changes if change.broken]
        return self.worse

    @property
    def worse(self) -> list[Change]:
        """The changes that are significantly for the worse, be it within what rules tolerate."""
        return [change for change in self.changes if change.verdict is Verdict.WORSE]

    @cached_property
    def several(self) -> bool:
        """Whether the changes are of several datasets or protocols."""
        return len({(change.dataset, change.protocol) for change in self.changes}) > 1

    def row(self, change: Change) -> str:
        """Return the name of a change's row, with dataset and protocol where there are several."""
        where = f" on {change.dataset}, {change.protocol}" if self.several else ""
        return f"{change.row}{where}"

    @property
    def doubtful(self) -> list[str]:
        """What a reader must know of trials that were compared."""
        partial = [f"{self.row(c)}, {c.metric.label}: {c.over}" for c in self.changes if c.over]
        return [*self.pairs.doubtful, *partial]

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
    def complete(self) -> bool:
        """Whether everything that the two folders hold was compared and tested."""
        lacking = (*self.pairs.lacking, self.undefined, self.untested, self.unused)
        return bool(self.changes) and not any(lacking)

    @property
    def exit_code(self) -> ExitCode:
        """1 if evidence shows a regression; else 4 if something could not be tested; else 0."""
        if self.broken:
            return ExitCode.GATE_FAILED
        return ExitCode.OK if self.complete else ExitCode.UNAVAILABLE


def compare_folders(
    base: Iterable[TrialRecord | StoreError],
    head: Iterable[TrialRecord | StoreError],
    *,
    analysis: Analysis,
    metrics: Sequence[str] = (),
    rules: Sequence[Rule] = (),
) -> Comparisons:
    """Compare what two results folders hold, trial by trial.

    Trials are paired by the contents of dataset and protocol (not by their names), backbone,
    augmentation, fold and seed. The family of Holm's correction is all rows in one metric.

    Args:
        base: Trials before.
        head: Trials after.
        analysis: How predictions are evaluated.
        metrics: Names of the metrics; empty: those of the rules, or the first one of the task.
        rules: What breaks the gate.

    Raises:
        UnknownName: A metric that does not exist.
        UsageError: A metric has no direction, a task none of the metrics, no difference can be as
            large as a rule tolerates, or a rule would fail improvements alone.
    """
    wanted = list(dict.fromkeys((*metrics, *(rule.metric for rule in rules))))
    known = {name: find_metric(name, extra=analysis.extra_metrics) for name in wanted}
    for rule in rules:
        rule.require_possible(known[rule.metric].bounds)
        rule.require_direction(known[rule.metric].higher_is_better, rules)
    pairs = PairedTrials.of(base, head)
    changes = [
        change
        for table in pairs.rows.values()
        for change in _changes(table, wanted, analysis, {rule.metric for rule in rules})
    ]
    extra = analysis.extra_metrics
    offered = {m.name for task in pairs.tasks for m in metrics_of(task, extra=extra, shown=False)}
    unused = [name for name in wanted if name not in offered] if offered else []
    return Comparisons(_judged(changes, rules), pairs, bool(rules), unused)


def _changes(
    table: Mapping[str, Sequence[Sequence[TrialRecord]]],
    wanted: Sequence[str],
    analysis: Analysis,
    ruled: Set[str],
) -> list[Change]:
    """Return the changes of the rows of one table, not yet corrected for their number."""
    some = next(iter(table.values()))[0][0]
    known = {m.name: m for m in metrics_of(some.task, extra=analysis.extra_metrics, shown=False)}
    chosen = [known[name] for name in wanted if name in known]
    if wanted and not chosen:
        raise UsageError(
            f"{not_of_the_task(wanted, some.task, some.dataset)}; add one of its metrics, or "
            "select other data with --dataset"
        )
    chosen = chosen or [metrics_of(some.task)[0]]
    for metric in chosen:
        if metric.higher_is_better is None and metric.name not in ruled:
            raise UsageError(
                f"{metric.name} has no direction: no change is better or worse; give 'mritk "
                f"compare' a rule, such as --fail-on '{metric.name} > 0.5'"
            )
    rows: dict[str, list[Scored]] = {}
    try:
        for name, (old, new) in table.items():
            rows[BASE + name] = [analysis.scored(record) for record in old]
            rows[HEAD + name] = [analysis.scored(record) for record in new]
    except Undefined as undefined:
        raise UsageError(f"{some.dataset}: {undefined}") from undefined
    evidence = analysis.evidence(rows, chosen)
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
            over=mean_over(
                {part.strip(): evidence.of_trials(part + name, metric) for part in (BASE, HEAD)}
            ),
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
