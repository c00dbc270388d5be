"""A trial as tables take it: facts, scores on demand, and the values of its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mritk.evaluate.metric import Metric, Undefined, Value
from mritk.evaluate.metrics import all_metrics
from mritk.evaluate.run_values import Scored
from mritk.results.analysis import Analysis
from mritk.results.trial_facts import TrialFacts
from mritk.store.record import TrialRecord

OWN_METRICS = all_metrics()
# Level, temperature, clean samples alone.
How = tuple[str, bool, bool]


class TableTrial(Protocol):
    """One trial of a table.

    Whatever asks for more than its facts may raise :class:`UnusableTrial`: its file may have been
    lost since.

    Attributes:
        facts: What is known without its scores.
        mark: Tells its content, as long as its file is not written; ``""`` where nothing does.
        held: All that is stored of it; None where only its file has that.
    """

    @property
    def facts(self) -> TrialFacts: ...

    @property
    def mark(self) -> str: ...

    @property
    def held(self) -> TrialRecord | None: ...

    def scored(self, analysis: Analysis, *, clean: bool) -> Scored:
        """Return what is evaluated of it, see :meth:`Analysis.scored`.

        Raises:
            Undefined: See there.
        """

    def values(
        self, analysis: Analysis, metrics: Sequence[Metric], *, clean: bool
    ) -> Mapping[str, Value]:
        """Return the value of each metric, by its name; see :func:`values_of`.

        Raises:
            Undefined: See :meth:`scored`.
        """


def how_of(analysis: Analysis, *, clean: bool) -> How:
    """Return all that shapes what is evaluated of a trial, and the values of its metrics."""
    return analysis.level, analysis.temperature, clean


def values_of(scored: Scored, metrics: Sequence[Metric], *, clean: bool) -> dict[str, Value]:
    """Return the value of each metric; among clean samples, classes that none has do not count."""
    return {m.name: m.compute(scored.target, scored.score, leave_out_absent=clean) for m in metrics}


def is_own(metric: Metric) -> bool:
    """Whether a metric is one of mritk; what code others call is not known."""
    return OWN_METRICS.get(metric.name) is metric


class HeldTrial:
    """A trial whose record is at hand."""

    mark = ""

    def __init__(self, record: TrialRecord) -> None:
        self.held: TrialRecord = record
        self.facts = TrialFacts.of(record)
        self._scored: dict[How, Scored] = {}

    def scored(self, analysis: Analysis, *, clean: bool) -> Scored:
        """Return what is evaluated of it; computed once."""
        how = how_of(analysis, clean=clean)
        if how not in self._scored:
            self._scored[how] = analysis.scored(self.held, clean=clean)
        return self._scored[how]

    def values(
        self, analysis: Analysis, metrics: Sequence[Metric], *, clean: bool
    ) -> dict[str, Value]:
        """Return the value of each metric."""
        return values_of(self.scored(analysis, clean=clean), metrics, clean=clean)


def scores_of(
    trials: Sequence[TableTrial], analysis: Analysis
) -> tuple[list[Scored], list[Scored]]:
    """Return what is evaluated of the trials of a row: all test samples, clean ones.

    Nothing, if that is undefined for one of them; and of clean ones if all are.
    """
    some_leak, scores, clean = leaking(trials), [], []
    try:
        for trial in trials:
            scores.append(trial.scored(analysis, clean=False))
            if some_leak:
                clean.append(trial.scored(analysis, clean=True))
    except Undefined:
        return [], []
    return scores, clean


def leaking(trials: Sequence[TableTrial]) -> bool:
    """Whether test samples of some trial are known not to be clean."""
    return any(trial.facts.test is not None and trial.facts.test.leaks for trial in trials)
