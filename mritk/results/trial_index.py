"""Trials of a results folder with what its index knows of them, so that few files are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mritk.errors import MritkError
from mritk.evaluate.metrics import metrics_of
from mritk.results.analysis import Analysis
from mritk.results.table_trial import TableTrial
from mritk.results.trial_facts import (
    TrialFacts,
    setting_as_json,
    setting_from_json,
    tested_as_json,
    tested_from_json,
)
from mritk.store.folder import ResultsFolder
from mritk.store.index_file import TABLE, TRIAL, Stamp, is_settled, stamp_of, time_of
from mritk.store.places import trial_paths
from mritk.store.record import TrialRecord
from mritk.store.trial_file import TrialReader
from mritk.store.trial_state import UnreadableTrial, UnusableTrial

# What a line has of a trial alone, in this order; what trials share is kept once.
OF_ONE_TRIAL = (
    "fold",
    "seed",
    "skipped",
    "cost",
    "unselected",
    "undefined",
    "in_voxels",
    "made_by",
)


class TrialIndex:
    """The trials of a folder. What is learnt of them is kept when the ``with`` block ends well.

    A trial is read again unless its file has the stamp that it had when it was read last
    (:data:`mritk.store.index_file.Stamp`). A file that was written in the same tick of the clock
    in which it was read is not noted: it could change again and keep its stamp. Several processes
    may write the index; the last one's stays, and what others knew is read again.

    Args:
        folder: The results folder.
        analysis: How predictions are evaluated. A trial is read once for all that it needs.
        metrics: Names of metrics that will be asked for beside the usual ones.
        wanted: Which trials are asked for.
        held: Whether they come with all that is stored of them; their files are read then.
    """

    def __init__(
        self,
        folder: ResultsFolder,
        analysis: Analysis | None = None,
        metrics: Sequence[str] = (),
        wanted: Callable[[TrialFacts], bool] = lambda facts: True,
        *,
        held: bool = False,
    ) -> None:
        self.folder, self._wanted, self._held = folder, wanted, held
        self._analysis, self._metrics = analysis or Analysis(), frozenset(metrics)
        self._file = folder.index()
        self._reader = TrialReader()
        self._began = time_of(folder.path)
        self._changed: dict[str, TableTrial] = {}
        self._meant: dict[str, Any] = {}
        self._dirty = False
        self._paths: dict[str, str] = {}

    def __enter__(self) -> TrialIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._reader.close()
        if kind is None:
            self._save()

    # -- trials --------------------------------------------------------------------------------

    def trials(self) -> Iterator[TableTrial | UnusableTrial]:
        """Yield every wanted trial in order of id; see :meth:`ResultsFolder.trials`.

        Raises:
            UsageError: There is no such folder.
        """
        self._paths = self.folder.trial_paths()
        for trial_id in self._paths:
            found = self._trial(trial_id)
            if isinstance(found, UnusableTrial) or self._wanted(found.facts):
                yield self._holding(found)
        for key in [key for key in self._file.lines if key.startswith(TRIAL)]:
            if key[len(TRIAL) :] not in self._paths:
                self._forget(key[len(TRIAL) :])

    def _holding(self, trial: TableTrial | UnusableTrial) -> TableTrial | UnusableTrial:
        """Return a trial with what is stored of it, where that is asked for; or why it cannot."""
        if not self._held or isinstance(trial, UnusableTrial) or trial.held is not None:
            return trial
        try:
            trial.held = self.read(trial)
        except UnusableTrial as error:
            return error
        return trial

    def look_up(
        self, trial_ids: Iterable[str]
    ) -> Iterator[tuple[str, TableTrial | UnusableTrial | None]]:
        """Yield each id with its trial, or why its file gives none; None where there is no file."""
        self._paths = trial_paths(self.folder.path)
        for trial_id in trial_ids:
            yield trial_id, self._trial(trial_id) if trial_id in self._paths else None

    def _trial(self, trial_id: str) -> TableTrial | UnusableTrial:
        stamp = stamp_of(self._paths[trial_id])
        try:
            return self._noted(trial_id, stamp) or self._read(trial_id, stamp)
        except UnusableTrial as error:
            self._forget(trial_id)
            return error

    def _noted(self, trial_id: str, stamp: Stamp | None) -> TableTrial | None:
        """Return what the index knows of a trial, if its file was not written since."""
        line = self._file.lines.get(f"{TRIAL}{trial_id}")
        if line is None or stamp is None:
            return None
        try:
            noted, status, seal, *kept, points = json.loads(line)
            if tuple(noted) != stamp:
                return None
            return TableTrial(self._facts(trial_id, status, kept), self, stamp, seal, points)
        except (MritkError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
            return None  # by another hand

    def _read(self, trial_id: str, stamp: Stamp | None) -> TableTrial:
        stored = self._reader.read_named(Path(self._paths[trial_id]))
        trial = TableTrial(TrialFacts.of(stored.record), self, stamp, stored.seal)
        self.note(trial)
        if self._held and self._wanted(trial.facts):
            trial.held = stored.record
        if trial.facts.scored and self._wanted(trial.facts):
            usual = metrics_of(trial.facts.task)
            known = metrics_of(trial.facts.task, self._analysis.extra_metrics, shown=False)
            others = [m for m in known if m.name in self._metrics and m not in usual]
            trial.prepare(stored.record, self._analysis, [*usual, *others])
        return trial

    def read(self, trial: TableTrial) -> TrialRecord:
        """Return all that is stored of a trial.

        Raises:
            UnusableTrial: Its file gives it no more, or in another state than before.
        """
        path = self.folder.trial_path(trial.facts.id)
        try:
            stored = self._reader.read_named(path)
            if stored.seal != trial.seal:
                raise UnreadableTrial(path, "was modified meanwhile; repeat the command")
        except UnusableTrial:
            self._forget(trial.facts.id)
            raise
        return stored.record

    # -- what is kept --------------------------------------------------------------------------

    def note(self, trial: TableTrial) -> None:
        """Remember to keep what is known of a trial, if its file will tell when it changes."""
        if trial.seal and is_settled(trial.stamp, self._began):
            self._changed[trial.facts.id] = trial

    def _forget(self, trial_id: str) -> None:
        self._changed.pop(trial_id, None)
        if self._file.lines.pop(f"{TRIAL}{trial_id}", None) is not None:
            self._dirty = True

    def _save(self) -> None:
        for trial_id, trial in self._changed.items():
            self._file.lines[f"{TRIAL}{trial_id}"] = self._line(trial)
        # A folder that was deleted meanwhile must not come to life again.
        if (self._dirty or self._changed) and self.folder.path.is_dir():
            self._file.write()

    def _line(self, trial: TableTrial) -> bytes:
        facts, share = trial.facts, self._file.share
        line = [
            trial.stamp,
            facts.status,
            trial.seal,
            *(getattr(facts, name) for name in OF_ONE_TRIAL),
            share(setting_as_json(facts)),
            share(json.dumps(facts.audit)),
            None if facts.test is None else share(tested_as_json(facts.test)),
            trial.points,
        ]
        return json.dumps(line, separators=(",", ":")).encode()

    def _facts(self, trial_id: str, status: str, kept: Sequence[Any]) -> TrialFacts:
        *own, setting, audit, test = kept
        return TrialFacts(
            id=trial_id,
            status=status,
            **dict(zip(OF_ONE_TRIAL, own, strict=True)),
            **self._shared(setting, setting_from_json),
            audit=self._shared(audit, json.loads),
            test=None if test is None else self._shared(test, tested_from_json),
        )

    def _shared(self, reference: str, read: Callable[[bytes], Any]) -> Any:
        if reference not in self._meant:
            self._meant[reference] = read(self._file.shared(reference))
        return self._meant[reference]

    # -- tables --------------------------------------------------------------------------------

    def table(self, key: str) -> Any:
        """Return what is kept of a table, as plain data; None if nothing is."""
        line = self._file.lines.pop(f"{TABLE}{key}", None)
        if line is None:
            return None
        self._file.lines[f"{TABLE}{key}"] = line  # the last one to be forgotten
        return json.loads(line)

    def keep_table(self, key: str, found: Any) -> None:
        """Keep plain data of a table; the tables that were made last are kept."""
        self._file.lines[f"{TABLE}{key}"] = json.dumps(found, separators=(",", ":")).encode()
        self._dirty = True
