"""Let an executor of a plugin train the trials of a plan."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mritk.errors import ExitCode
from mritk.execute.attempts import ATTEMPTS, Attempts
from mritk.execute.away import when_there
from mritk.execute.claim import finished_meanwhile
from mritk.execute.diary import Reader
from mritk.execute.events import Events
from mritk.execute.job import Done, Job
from mritk.execute.limits import Limits
from mritk.execute.parcel import receive
from mritk.execute.time_limit import forget_overrun
from mritk.execute.trial_record import record_of
from mritk.files.results_names import CLAIMS
from mritk.method import Epoch
from mritk.plugins.registry import Registry
from mritk.records import Executor, LostJob
from mritk.store.folder import ResultsFolder
from mritk.store.headline import headline
from mritk.store.provenance import collect
from mritk.store.trial_file import Failure, read_trial
from mritk.store.trial_state import TrialState, UnusableTrial
from mritk.study.plan import StudyPlan
from mritk.text.duration import duration
from mritk.train.checkpoint import stored_epochs
from mritk.trial import Outcome, Trial

NOT_STORED = (TrialState.ABSENT, TrialState.INTERRUPTED)


@dataclass(frozen=True)
class ExecutorRun:
    """A run whose trials are trained by an executor.

    Attributes:
        registry: Its plugins are told what happens; of each trial once it is done.
        executor: Where trials are trained.
        job: What the jobs of all trials have in common.
        at_once: How many may run at once; None: as the executor sees fit.
        limits: How long trials may take.
    """

    registry: Registry
    executor: Executor
    job: Job
    at_once: int | None = None
    limits: Limits = field(default_factory=Limits)

    def run(self, plan: StudyPlan) -> list[Outcome]:
        """Train what is to do in ``plan``; see :meth:`mritk.execute.serial.SerialRun.run`."""
        results = ResultsFolder(self.job.results)
        events = Events(self.registry)
        live = _Live(events, results, plan.todo, self._name)
        with events.of_run(plan, results) as outcomes:
            for trial, done in self._trained(plan, live):
                path = results.trial_path(trial.id)
                history, score = _stored(path)
                told = done.error, done.exit_code, done.seconds, score, done.without_model
                outcome = Outcome(trial, path, *told)
                if not done.elsewhere:
                    outcomes.append(outcome)
                live.tell(trial, history)
                events.announce("mritk_trial_finish", trial=trial, outcome=outcome)
        return outcomes

    @property
    def _name(self) -> str:
        """What its workers call it."""
        return f"{socket.gethostname()}-{os.getpid()}"

    def _trained(self, plan: StudyPlan, live: _Live) -> Iterator[tuple[Trial, Done]]:
        """Yield each trial when it is done, or given up, while ``live`` tells of the others.

        Of those that another process has trained it yields those whose start was told: a worker of
        this run had begun them.
        """
        waiting = {trial.id: trial for trial in plan.todo}
        stop = self.job.results / CLAIMS / f"{self._name}.stop"
        common = replace(self.job, wait=False, stop=stop)
        if not self.executor.shares_folders:
            common = replace(common, folder=None, stop=None)
        jobs = {trial.id: common.of(trial, plan, self.limits) for trial in plan.todo}
        names = {trial.id: str(trial) for trial in plan.todo}
        attempts = Attempts(self.executor, jobs, self.at_once, self.limits.notice, names)
        with suppress(OSError):
            stop.unlink(missing_ok=True)  # of a killed run whose number this one has
        try:
            for trial_id, found in attempts.results(partial(live.look, waiting)):
                trial = waiting.pop(trial_id)
                if isinstance(found, LostJob):
                    yield trial, self._lost(trial, found)
                    continue
                if found.elsewhere and not live.has_told(trial):
                    continue
                yield trial, self._store(trial, found, plan.stamp(trial))
        finally:
            with suppress(OSError):
                stop.unlink(missing_ok=True)
                stop.parent.rmdir()

    def _store(self, trial: Trial, done: Done, stamp: int) -> Done:
        """Store what a worker did not store itself: it sees no results folder, or could not even
        begin; return what became of the job."""
        results = ResultsFolder(self.job.results)
        if done.parcel is not None:
            parcel, failed = done.parcel, bool(done.error)

            def take() -> str:
                if finished_meanwhile(results, trial.id, stamp):
                    return ""
                return receive(parcel, results, trial.id, failed=failed)

            if without_model := when_there(results, take):
                return replace(done, without_model=without_model)
        elif why := done.error:

            def store() -> None:
                if results.status(trial.id) in NOT_STORED:
                    self._store_failure(trial, "WorkerFailed", why)

            when_there(results, store)
        return done

    def _lost(self, trial: Trial, lost: LostJob) -> Done:
        """Store a trial as failed whose workers died and could not do so themselves."""
        results = ResultsFolder(self.job.results)
        return when_there(results, lambda: self._stored_as_lost(results, trial, lost))

    def _stored_as_lost(self, results: ResultsFolder, trial: Trial, lost: LostJob) -> Done:
        slow = forget_overrun(results, trial.id)
        if results.status(trial.id) is TrialState.FINISHED:  # it died behind the last step
            return Done(trial.id)
        if slow:
            limit = duration(self.limits.trials.get(trial.id, math.nan))
            why = f"was ended, because the trial took longer than {limit} (--trial-timeout)"
        else:
            why = f"{lost.reason or 'died'} (possibly out of memory)"
        text = (
            f"the worker of executor {self.executor.name} ({self.executor.origin}) {why}, in "
            f"{ATTEMPTS} attempts; the same command retries the trial"
        )
        self._store_failure(trial, "TrialTimeout" if slow else "WorkerDied", text)
        return Done(trial.id, text, ExitCode.INTERNAL)

    def _store_failure(self, trial: Trial, kind: str, text: str) -> None:
        """Store a trial as failed, with the epochs of its checkpoint and those since."""
        results = ResultsFolder(self.job.results)
        record = record_of(trial, self._provenance())
        epochs = stored_epochs(results.checkpoint_path(trial.id))
        epochs += Reader(results).news(trial.id) or []
        record.history = list({epoch.epoch: epoch for epoch in epochs}.values())
        record.status = "failed"
        record.failure = Failure(kind, text, "", len(record.history))
        results.write(record, create=False)

    def _provenance(self) -> dict[str, Any]:
        """Return what is known of a trial that died; of the machine it died on, nothing is."""
        loaded = [str(p.origin) for p in self.registry.plugins if p.state == "loaded"]
        return collect("", loaded, list(self.job.command)) | {"machine": {}}


class _Live:
    """Tells plugins of trials that the workers of a run train, in the order of the hooks for each
    trial."""

    def __init__(
        self, events: Events, results: ResultsFolder, todo: Sequence[Trial], run: str
    ) -> None:
        self._events, self._diaries, self._total = events, Reader(results), len(todo)
        self._run = run
        self._told: dict[str, int] = {}  # number of the last epoch told, by trial

    def has_told(self, trial: Trial) -> bool:
        """Whether the start of a trial has been told."""
        return trial.id in self._told

    def look(self, waiting: Mapping[str, Trial]) -> None:
        """Tell what is new of trials that are not done, by id."""
        for trial_id in self._diaries.begun(self._run):
            if trial_id in waiting and (news := self._diaries.news(trial_id)) is not None:
                self.tell(waiting[trial_id], news)

    def tell(self, trial: Trial, epochs: Iterable[Epoch]) -> None:
        """Tell the start of a trial and those of these epochs that have not been told."""
        if trial.id not in self._told:
            self._told[trial.id] = 0
            position = len(self._told)
            self._events.announce(
                "mritk_trial_start", trial=trial, position=position, total=self._total
            )
        for epoch in epochs:
            if epoch.epoch > self._told[trial.id]:
                self._told[trial.id] = epoch.epoch
                self._events.announce("mritk_epoch_end", trial=trial, epoch=epoch)


def _stored(path: Path) -> tuple[list[Epoch], str]:
    """Return the history and the score of a trial that a worker has stored."""
    try:
        record = read_trial(path)
    except UnusableTrial:  # the end of the run names it
        return [], ""
    return record.history, headline(record)
