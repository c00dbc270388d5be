"""The state of a stored trial, and the errors that say why a trial file cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import ClassVar

from mritk.errors import ExitCode, StoreError


class TrialState(str, Enum):
    """What is known of a trial in a results folder.

    Attributes:
        ABSENT: Neither a file nor a checkpoint.
        INTERRUPTED: A checkpoint, but no file yet.
        FINISHED: A whole file of a trial that was trained to its end.
        FAILED: A whole file of a trial that failed.
        TORN: The file is incomplete or damaged.
        FOREIGN: What stands under the name of the file is no trial file.
        ALTERED: The file is not what was written.
        MISNAMED: The file holds another trial than its name says.
        NEWER: A newer mritk wrote the file.
        UNREADABLE: The file cannot be opened now, so nothing is known of the trial.
    """

    ABSENT = "absent"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"
    FAILED = "failed"
    TORN = "torn"
    FOREIGN = "foreign"
    ALTERED = "altered"
    MISNAMED = "misnamed"
    NEWER = "newer schema"
    UNREADABLE = "currently inaccessible"

    @property
    def spoiled(self) -> bool:
        """Whether there is a file that will never give the trial that its name says."""
        return self in (
            TrialState.TORN,
            TrialState.FOREIGN,
            TrialState.ALTERED,
            TrialState.MISNAMED,
        )

    @property
    def to_train(self) -> bool:
        """Whether a run trains the trial.

        What cannot be read now, or was written by a newer mritk, may well be finished.
        """
        return self not in (TrialState.FINISHED, TrialState.NEWER, TrialState.UNREADABLE)


class UnusableTrial(StoreError):
    """A trial file that gives no trial.

    Attributes:
        path: The file.
        why: What follows its name in the message.
        state: The state that the trial is in.
    """

    state: ClassVar[TrialState]

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(path, why)  # both, so that it can be pickled
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"{self.path} {self.why}"


class TornTrial(UnusableTrial):
    """The file is incomplete or damaged."""

    state = TrialState.TORN


class ForeignFile(UnusableTrial):
    """What stands under the name of the file is no trial file."""

    state = TrialState.FOREIGN


class AlteredTrial(UnusableTrial):
    """The file is not what was written."""

    state = TrialState.ALTERED


class MisnamedTrial(UnusableTrial):
    """The file holds another trial than its name says."""

    state = TrialState.MISNAMED


class NewerTrial(UnusableTrial):
    """A newer mritk wrote the file."""

    state = TrialState.NEWER
    exit_code = ExitCode.UNAVAILABLE


class UnreadableTrial(UnusableTrial):
    """The file cannot be opened now: it may be whole."""

    state = TrialState.UNREADABLE
    exit_code = ExitCode.UNAVAILABLE


def exit_code_of(trials: Iterable[object]) -> ExitCode:
    """Return what a command ends with that has shown what could be read of ``trials``.

    A torn file stops nothing. One that cannot be read now is another matter: the same command will
    give another table tomorrow.
    """
    unreadable = any(isinstance(trial, UnreadableTrial) for trial in trials)
    return ExitCode.UNAVAILABLE if unreadable else ExitCode.OK
