"""A trial whose file is opened only for what the index of its folder does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from mritk.evaluate.metric import Metric, Undefined, Value
from mritk.evaluate.run_values import Scored
from mritk.results.analysis import Analysis
from mritk.results.table_trial import How, how_of, is_own, values_of
from mritk.results.trial_facts import TrialFacts
from mritk.store.index_file import Stamp
from mritk.store.record import TrialRecord

# By name of metric value and reason, or why none has a value.
Points = dict[str, list[Any]] | str


class Notes(Protocol):
    """The index, as its trials need it."""

    def read(self, trial: IndexedTrial) -> TrialRecord:
        """Return all that is stored of a trial."""

    def note(self, trial: IndexedTrial) -> None:
        """Remember to keep what is known of a trial."""


class IndexedTrial:
    """A trial whose file is opened only for what the index does not know.

    Attributes:
        stamp: That of its file.
        seal: The digest of its content.
        facts: What is known without its scores.
        points: By analysis, the values of metrics that were computed before.
        held: All that is stored of it, where that was asked for.
    """

    def __init__(
        self,
        index: Notes,
        stamp: Stamp | None,
        seal: str,
        facts: TrialFacts,
        points: dict[str, Points],
    ) -> None:
        self.stamp, self.seal, self.facts, self.points = stamp, seal, facts, points
        self.held: TrialRecord | None = None
        self._index = index
        self._scored: dict[How, Scored | Undefined] = {}

    @property
    def mark(self) -> str:
        """Tells its content, here and now.

        The seal alone would do for honest folders. One that came from elsewhere may hold an index
        with made-up intervals; nobody foresees the stamps that files get when they arrive.
        """
        return f"{self.seal} {self.stamp}" if self.seal else ""

    def prepare(self, record: TrialRecord, analysis: Analysis, metrics: Sequence[Metric]) -> None:
        """Take from its record, while that is at hand, what a table will ask for."""
        for clean in (False,) if self.facts.clean_is_all else (False, True):
            how = how_of(analysis, clean=clean)
            try:
                self._scored[how] = analysis.scored(record, clean=clean)
            except Undefined as undefined:
                self._scored[how] = undefined
            with suppress(Undefined):
                self.values(analysis, metrics, clean=clean)
        if analysis.interval == "none":
            self._scored.clear()

    def scored(self, analysis: Analysis, *, clean: bool) -> Scored:
        """Return what is evaluated of it.

        Raises:
            Undefined: See :meth:`Analysis.scored`.
            UnusableTrial: Its file gives it no more.
        """
        clean = clean and not self.facts.clean_is_all
        how = how_of(analysis, clean=clean)
        if how in self._scored:
            found = self._scored[how]
            if isinstance(found, Undefined):
                raise found
            return found
        return analysis.scored(self.held or self._index.read(self), clean=clean)

    def values(
        self, analysis: Analysis, metrics: Sequence[Metric], *, clean: bool
    ) -> Mapping[str, Value]:
        """Return the value of each metric; only those of mritk are kept.

        Raises:
            Undefined: See :meth:`Analysis.scored`.
            UnusableTrial: Its file gives it no more.
        """
        clean = clean and not self.facts.clean_is_all
        how = json.dumps(how_of(analysis, clean=clean))
        known = self.points.get(how, {})
        if isinstance(known, str):
            raise Undefined(known)
        found = {m.name: Value(*known[m.name]) for m in metrics if is_own(m) and m.name in known}
        if missing := [m for m in metrics if m.name not in found]:
            found.update(self._computed(analysis, missing, how, clean=clean))
        return found

    def _computed(
        self, analysis: Analysis, metrics: Sequence[Metric], how: str, *, clean: bool
    ) -> dict[str, Value]:
        try:
            found = values_of(self.scored(analysis, clean=clean), metrics, clean=clean)
        except Undefined as undefined:
            self.points[how] = str(undefined)
            self._index.note(self)
            raise
        if own := [m.name for m in metrics if is_own(m)]:
            kept = {name: [found[name].value, found[name].reason] for name in own}
            known = self.points.get(how, {})
            self.points[how] = {**known, **kept} if isinstance(known, dict) else kept
            self._index.note(self)
        return found
