"""A trial as tables take it: its facts, its scores on demand, and the values of its metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from mritk.evaluate.metric import Metric, Undefined, Value
from mritk.evaluate.metrics import all_metrics, of_any_region
from mritk.evaluate.run_values import Scored
from mritk.results.analysis import Analysis
from mritk.results.trial_facts import TrialFacts
from mritk.store.index_file import Stamp
from mritk.store.record import TrialRecord

OWN_METRICS = all_metrics()
# Level, temperature, clean samples alone: all that shapes what is evaluated of a trial.
How = tuple[str, bool, bool]
# By name of metric value and reason, or why none has a value.
Points = dict[str, list[Any]] | str


def is_own(metric: Metric) -> bool:
    """Whether a metric is one of mritk; what code others call is not known."""
    return OWN_METRICS.get(metric.name) is metric


class Notes(Protocol):
    """The index of a results folder, as its trials need it."""

    def read(self, trial: TableTrial) -> TrialRecord:
        """Return all that is stored of a trial."""

    def note(self, trial: TableTrial) -> None:
        """Remember to keep what is known of a trial."""


class TableTrial:
    """One trial of a table. Its file is opened only for what the index does not know.

    Whatever asks for more than its facts may raise :class:`UnusableTrial`: its file may have been
    lost since.

    Attributes:
        stamp: That of its file.
        seal: The digest of its content.
        facts: What is known without its scores.
        points: By analysis, the values of metrics that were computed before.
        held: All that is stored of it; None where only its file has that.
    """

    def __init__(
        self,
        facts: TrialFacts,
        index: Notes | None = None,
        stamp: Stamp | None = None,
        seal: str = "",
        points: dict[str, Points] | None = None,
    ) -> None:
        self.stamp, self.seal, self.facts, self.points = stamp, seal, facts, points or {}
        self.held: TrialRecord | None = None
        self._index = index
        self._scored: dict[How, Scored | Undefined] = {}
        self._measured: dict[tuple[str, How], np.ndarray] = {}

    @classmethod
    def of(cls, record: TrialRecord) -> TableTrial:
        """Return a trial whose record is at hand, and that no index knows."""
        trial = cls(TrialFacts.of(record))
        trial.held = record
        return trial

    @property
    def mark(self) -> str:
        """Tells its content, here and now; ``""`` where nothing does.

        The seal alone would do for honest folders. One that came from elsewhere may hold an index
        with made-up intervals; nobody foresees the stamps that files get when they arrive.
        """
        return f"{self.seal} {self.stamp}" if self.seal else ""

    def prepare(self, record: TrialRecord, analysis: Analysis, metrics: Sequence[Metric]) -> None:
        """Take from its record, while that is at hand, what a table will ask for."""
        for clean in (False,) if self.facts.clean_is_all else (False, True):
            self._evaluate(record, analysis, self._how(analysis, clean=clean))
            with suppress(Undefined):
                self.values(analysis, metrics, clean=clean)
        if analysis.interval == "none":
            self._scored.clear()

    def _how(self, analysis: Analysis, *, clean: bool) -> How:
        return analysis.level, analysis.temperature, clean and not self.facts.clean_is_all

    def _evaluate(self, record: TrialRecord, analysis: Analysis, how: How) -> None:
        try:
            found = analysis.scored(record, clean=how[-1])
            self._scored[how] = self._measured_once(found, how)
        except Undefined as undefined:
            self._scored[how] = undefined

    def scored(self, analysis: Analysis, *, clean: bool) -> Scored:
        """Return what is evaluated of it.

        Raises:
            Undefined: See :meth:`Analysis.scored`.
        """
        how = self._how(analysis, clean=clean)
        if how not in self._scored and self._index is not None:
            read = analysis.scored(self.held or self._index.read(self), clean=how[-1])
            return self._measured_once(read, how)
        if how not in self._scored and self.held is not None:
            self._evaluate(self.held, analysis, how)
        found = self._scored[how]
        if isinstance(found, Undefined):
            raise found
        return found

    def _measured_once(self, found: Scored, how: How) -> Scored:
        """Return scores whose label maps are measured once, although they are read again."""
        measured = found.measured
        if measured is None:
            return found

        def once(metric: Metric) -> np.ndarray:
            key = of_any_region(metric.name), how
            if key not in self._measured:
                self._measured[key] = measured(metric)
            return self._measured[key]

        return replace(found, measured=once)

    def values(
        self, analysis: Analysis, metrics: Sequence[Metric], *, clean: bool
    ) -> Mapping[str, Value]:
        """Return the value of each metric; only those of mritk are kept.

        Among clean samples, classes that none has do not count.

        Raises:
            Undefined: See :meth:`Analysis.scored`.
        """
        how = self._how(analysis, clean=clean)
        key = json.dumps(how)
        known = self.points.get(key, {})
        if isinstance(known, str):
            raise Undefined(known)
        found = {m.name: Value(*known[m.name]) for m in metrics if is_own(m) and m.name in known}
        missing = [m for m in metrics if m.name not in found]
        if not missing:
            return found
        try:
            scored = self.scored(analysis, clean=clean)
        except Undefined as undefined:
            self._keep(key, str(undefined))
            raise
        for m in missing:
            scores = scored.scores_for(m)
            found[m.name] = m.compute(scored.target, scores, leave_out_absent=how[-1])
        if own := [m.name for m in missing if is_own(m)]:
            self._keep(key, known | {name: [found[name].value, found[name].reason] for name in own})
        return found

    def _keep(self, key: str, points: Points) -> None:
        self.points[key] = points
        if self._index is not None:
            self._index.note(self)


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
