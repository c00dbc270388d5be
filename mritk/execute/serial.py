"""Run the trials of a plan one after the other in this process."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mritk.errors import ExitCode, MritkError, OutOfMemory, Stopped, one_line
from mritk.execute.away import when_there
from mritk.execute.blame import explain_error
from mritk.execute.claim import claimed, finished_meanwhile
from mritk.execute.diary import Diary
from mritk.execute.events import Events
from mritk.execute.limits import Limits
from mritk.execute.run_trial import run_trial
from mritk.files.workspace import Workspace
from mritk.machine.allocator import keep_large_blocks, return_free_blocks
from mritk.machine.engine import Engine
from mritk.machine.lanes import at_once
from mritk.machine.out_of_memory import ran_out_of_memory
from mritk.machine.threads import use_available_cores
from mritk.method import Epoch
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.store.headline import headline
from mritk.store.kept_model import kept_digest, model_path, set_model_aside
from mritk.store.provenance import collect, command_line
from mritk.store.trial_file import Failure, TrialRecord, UnstorableTrial
from mritk.store.trial_state import TrialState
from mritk.trial import Outcome, Plan, Trial

logger = logging.getLogger("mritk")


class Crowded(Exception):
    """A trial ran out of memory while others were trained beside it."""


def telling(events: Events, trial: Trial) -> Callable[[Epoch], None]:
    """Return what announces each epoch of a trial."""
    return lambda epoch: events.announce("mritk_epoch_end", trial=trial, epoch=epoch)


@dataclass(frozen=True)
class SerialRun:
    """A run in this process.

    Attributes:
        registry: Its plugins are told what happens.
        results: Where trial files go.
        workspace: Where caches are.
        engine: Where and how to compute.
        keep_models: Whether the trained network of each trial is kept beside the trial files.
        threads: Number of threads on a processor; 0: one per available core.
        limits: Trials that do not fit are not begun; the one that is being trained when the run
            must end is checkpointed.
    """

    registry: Registry
    results: ResultsFolder
    workspace: Workspace
    engine: Engine
    keep_models: bool = False
    threads: int = 0
    limits: Limits = field(default_factory=Limits)
    _without_network: set[str] = field(default_factory=set, repr=False)

    def provenance(self, command: list[str]) -> dict[str, Any]:
        """Return the facts of this machine and these plugins that each trial file keeps."""
        loaded = [str(p.origin) for p in self.registry.plugins if p.state == "loaded"]
        return collect(self.engine.device, loaded, command)

    def run(self, plan: Plan) -> list[Outcome]:
        """Train what is to do in ``plan``; each trial is on disk before the next one begins.

        Returns:
            One outcome for each trial that was trained, failed ones included; none for those that
            the limits left out.

        Raises:
            KeyboardInterrupt: A person stopped it; finished trials stay.
            StoreError: A trial file cannot be written; more would be lost.
        """
        keep_large_blocks()
        use_available_cores(threads=self.threads)
        events = Events(self.registry)
        provenance = self.provenance(command_line())
        with (
            events.of_run(plan, self.results) as outcomes,
            suppress(Stopped),
            closing(self._free(plan)) as trials,
        ):
            for position, trial in enumerate(trials, 1):
                events.announce(
                    "mritk_trial_start", trial=trial, position=position, total=len(plan.todo)
                )
                outcome = self.run_one(trial, provenance, telling(events, trial))
                outcomes.append(outcome)
                return_free_blocks()
                events.announce("mritk_trial_finish", trial=trial, outcome=outcome)
        return outcomes

    def _free(self, plan: Plan) -> Generator[Trial, None, None]:
        """Yield the trials that no other process trains, each claimed until the next is asked for.

        Those that another process trains come last; by then most of them are finished, and those
        are not trained again.
        """
        waiting, postponed = deque(plan.todo), set[str]()
        while waiting:
            trial = waiting.popleft()
            waits = trial.id in postponed
            with claimed(self.results, trial.id, wait=waits, notice=self.limits.notice) as mine:
                if not mine:
                    postponed.add(trial.id)
                    waiting.append(trial)
                elif finished_meanwhile(self.results, trial.id, plan.stamp(trial)):
                    continue
                elif self.limits.may_begin(trial.id):
                    yield trial

    def run_one(
        self, trial: Trial, provenance: dict[str, Any], on_epoch: Callable[[Epoch], None]
    ) -> Outcome:
        """Train one trial, whose claim is held, and put its file into the results folder.

        Raises:
            Crowded: Alone it may have memory enough; nothing is stored.
        """
        told_by = self.limits.notice.file  # the run whose worker this is
        with Diary(self.results, trial.id, told_by.stem if told_by else "") as diary:

            def note(epoch: Epoch) -> None:
                diary.note(epoch)
                on_epoch(epoch)

            return self._trained(trial, provenance, note)

    def _trained(
        self, trial: Trial, provenance: dict[str, Any], on_epoch: Callable[[Epoch], None]
    ) -> Outcome:
        started = time.perf_counter()
        checkpoint = self.results.checkpoint_path(trial.id)
        model = model_path(self.results, trial.id) if self.keep_models else None
        record, error = run_trial(
            trial,
            self.workspace,
            self.engine,
            provenance,
            on_epoch,
            checkpoint,
            model_path=model,
            when_there=partial(when_there, self.results),
            must_stop=lambda: self.limits.notice.given,
        )
        if error is not None and at_once() > 1 and _short_of_memory(error):
            raise Crowded(one_line(str(error)))
        without_model = record.without_model
        if model and error is None and not kept_digest(record) and not without_model:
            self._tell_without_network(trial.method.name)

        def write() -> Path:
            if error is not None and self.results.status(trial.id) is TrialState.FINISHED:
                return self.results.trial_path(trial.id)  # by another process, meanwhile
            path = self.results.write(record, create=False)
            if not kept_digest(record):
                set_model_aside(self.results, trial.id)
            return path

        try:
            path = when_there(self.results, write)
        except UnstorableTrial as unstorable:  # others can be stored
            error = unstorable
            _leave_result_out(record, unstorable)
            path = when_there(self.results, write)
        if error is None:
            self.results.discard_checkpoints([trial.id])
        seconds = time.perf_counter() - started
        if error is None:
            score = headline(record)
            return Outcome(trial, path, seconds=seconds, score=score, without_model=without_model)
        code = error.exit_code if isinstance(error, MritkError) else ExitCode.INTERNAL
        return Outcome(trial, path, explain_error(error, trial), code, seconds)

    def _tell_without_network(self, method: str) -> None:
        """Say once per run that the models of a method cannot be kept."""
        if method not in self._without_network:
            self._without_network.add(method)
            logger.warning(
                "--keep-models: method %s provides no network that mritk can store; its trials "
                "are stored without a model, with complete predictions",
                method,
            )


def _leave_result_out(record: TrialRecord, error: UnstorableTrial) -> None:
    """Make a record that no file can hold that of a failed trial."""
    record.status, record.predictions, record.notes = "failed", {}, {}
    record.history = [replace(epoch, extra={}) for epoch in record.history]
    text = "".join(traceback.format_exception(error))
    record.failure = Failure(type(error).__name__, str(error), text, len(record.history))


def _short_of_memory(error: BaseException) -> bool:
    return isinstance(error, OutOfMemory) or ran_out_of_memory(error)
