"""How the trials of a results folder stand, while they are trained or afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mritk.execute.agenda import agenda, going
from mritk.execute.diary import Training, trainings
from mritk.method import Epoch
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialRecord
from mritk.store.trial_state import TrialState, UnusableTrial


@dataclass(frozen=True)
class Running:
    """A trial that is being trained.

    Attributes:
        trial: Its id.
        name: Its description; empty if the run that trains it tells none.
        training: Where it is trained, and since when.
        epoch: The last epoch; None before the end of the first.
        told: When the last epoch ended, or training began, in seconds since 1970.
    """

    trial: str
    name: str
    training: Training
    epoch: Epoch | None
    told: float

    @property
    def seconds(self) -> float:
        """How long it has been trained."""
        return max(0.0, time.time() - self.training.began)

    @property
    def left(self) -> float | None:
        """Seconds to its last planned epoch, if each takes as long as the last one; None: unknown.

        Early stopping may end it before.
        """
        if self.epoch is None or not self.epoch.is_planned:
            return None
        rest = (self.epoch.epochs - self.epoch.epoch) * self.epoch.seconds
        return max(0.0, rest - (time.time() - self.told))


@dataclass(frozen=True)
class Status:
    """How trials stand.

    Attributes:
        finished: Number of finished trials.
        running: Those that are being trained.
        failed: By id: a description, and the reason.
        unusable: By id: why the file gives no trial.
        to_do: By id: the descriptions of trials of runs that go on, or were killed. Of runs that a
            person interrupted only trials with a checkpoint are known, and those by their ids.
        interrupted: Number of those to do that have begun and will be resumed.
        left: The ids of those to do that have a checkpoint and that no run names: a person
            interrupted their run, and may have changed what it trains since.
        goes_on: Whether a run goes on that has some of those to do before it.
    """

    finished: int
    running: tuple[Running, ...]
    failed: dict[str, tuple[str, str]]
    unusable: dict[str, str]
    to_do: dict[str, str]
    interrupted: int
    left: tuple[str, ...] = ()
    goes_on: bool = False

    @classmethod
    def of(cls, results: ResultsFolder, reasons: int | None = None) -> Status:
        """Look at a folder; trials that the index knows are not opened.

        Args:
            results: The folder.
            reasons: Of how many failed trials, and of how many unusable files, the reason is read;
                None: of all. The others are told by their ids.

        Raises:
            UsageError: There is no such folder.
            Unavailable: It cannot be listed now.
        """
        names, training = agenda(results), trainings(results)
        begun = results.with_checkpoint()
        states = results.states(dict.fromkeys([*results.trial_paths(), *names, *training, *begun]))
        bad = {t: state for t, state in states.items() if _is_bad(state) and t not in training}
        failed = {t: (names.get(t, t), "") for t in bad if bad[t] is TrialState.FAILED}
        unusable = {t: bad[t].value for t in bad if t not in failed}
        for trial, found in results.look_up([*list(failed)[:reasons], *list(unusable)[:reasons]]):
            if isinstance(found, TrialRecord):
                unusable.pop(trial, None)
                failed[trial] = _name(found), found.failure.reason if found.failure else ""
            elif isinstance(found, UnusableTrial):
                failed.pop(trial, None)
                unusable[trial] = str(found)
        left = {t: t for t in begun if states[t] is TrialState.INTERRUPTED}
        to_do = {
            trial: name
            for trial, name in (left | names).items()
            if states[trial].to_train and trial not in training and trial not in failed
        }
        return cls(
            list(states.values()).count(TrialState.FINISHED),
            tuple(Running(t, names.get(t, ""), *found) for t, found in training.items()),
            failed,
            unusable,
            to_do,
            [states[trial] for trial in to_do].count(TrialState.INTERRUPTED),
            tuple(trial for trial in to_do if trial not in names),
            not to_do.keys().isdisjoint(going(results)),
        )


def _is_bad(state: TrialState) -> bool:
    return state not in (TrialState.FINISHED, TrialState.ABSENT, TrialState.INTERRUPTED)


def _name(record: TrialRecord) -> str:
    fold = f" fold {record.fold}" if record.folds > 1 else ""
    return f"{record.backbone} on {record.dataset}{fold} seed {record.seed}"
