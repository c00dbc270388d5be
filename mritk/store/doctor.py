"""Look into every corner of a results folder: what is torn, altered, foreign, twice, or stale."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mritk.errors import ExitCode
from mritk.store.checks import checks_of
from mritk.store.folder import CHECKPOINTS, ResultsFolder
from mritk.store.kept_model import MODELS
from mritk.store.trial_file import Stored, TrialReader, TrialRecord
from mritk.store.trial_state import UnusableTrial
from mritk.store.view import TRIALS, VIEW, stale_view

IDENTITY = ("dataset_fingerprint", "backbone", "augmentation", "fingerprint", "fold", "seed")
# A process that writes a file changes it all the time, so one that nobody has touched for an hour
# is nobody's. A lock would tell at once, but not on every network drive.
ABANDONED_AFTER = 3600.0


class State(str, Enum):
    """What is the matter with a file; some are states of a trial, by the same words."""

    TORN = "torn"
    ALTERED = "altered"
    FOREIGN = "foreign"
    MISNAMED = "misnamed"
    NEWER = "newer schema"
    UNREADABLE = "currently inaccessible"
    INCONSISTENT = "inconsistent"
    DUPLICATE = "duplicate"
    FAILED = "failed trial"
    UNSEALED = "unsealed"
    LEFTOVER = "leftover"
    IN_USE = "possibly in use"
    STALE = "stale"
    INTERRUPTED = "interrupted trial"
    ORPHAN = "orphan"

    @property
    def serious(self) -> bool:
        """Whether data are lost or cannot be trusted; the rest are notes."""
        return self.spoiled or self is State.INCONSISTENT

    @property
    def spoiled(self) -> bool:
        """Whether the file will never give the trial that its name says."""
        return self in (State.TORN, State.ALTERED, State.FOREIGN, State.MISNAMED)


@dataclass(frozen=True)
class Ailment:
    """One finding of the doctor.

    Attributes:
        path: The file, below the results folder.
        state: What is the matter.
        text: One line for a person.
    """

    path: Path
    state: State
    text: str


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        trials: Number of trial files that are whole.
        ailments: What is the matter with others, and notes.
    """

    trials: int
    ailments: tuple[Ailment, ...]

    @property
    def serious(self) -> bool:
        """Whether data are lost or cannot be trusted."""
        return any(ailment.state.serious for ailment in self.ailments)

    @property
    def interrupted(self) -> int:
        """Number of trials that were begun and not finished."""
        return sum(ailment.state is State.INTERRUPTED for ailment in self.ailments)

    @property
    def unreadable(self) -> int:
        """Number of trial files of which nothing is known, because they cannot be opened now."""
        return sum(ailment.state is State.UNREADABLE for ailment in self.ailments)

    @property
    def exit_code(self) -> ExitCode:
        """What a command that shows this ends with."""
        if self.serious:
            return ExitCode.GATE_FAILED
        return ExitCode.UNAVAILABLE if self.unreadable else ExitCode.OK


def diagnose(folder: ResultsFolder) -> Diagnosis:
    """Open every file of a results folder.

    Raises:
        UsageError: There is no such folder.
    """
    folder.require_there()
    found: list[Ailment] = []
    whole: dict[str, Stored] = {}
    with TrialReader() as reader:
        for path in sorted((folder.path / TRIALS).glob("*")):
            examined = _examine(path, reader)
            if isinstance(examined, Ailment):
                found.append(examined)
            else:
                found += _notes(examined)
                whole[path.stem] = examined
    records = [stored.record for stored in whole.values()]
    found += _duplicates(records)
    found += _leftovers(folder, {record.id: record for record in records})
    seals = {trial_id: stored.seal for trial_id, stored in whole.items()}
    if reason := stale_view(folder.path, seals):
        found.append(Ailment(Path(VIEW), State.STALE, reason))
    return Diagnosis(len(whole), tuple(found))


def _examine(path: Path, reader: TrialReader) -> Stored | Ailment:
    """Return the trial of one file among the trials, or what is the matter with it."""
    below = Path(TRIALS) / path.name
    if _temporary(path):
        return _left(path, below, "half-written")
    if path.suffix != ".h5":
        return Ailment(below, State.FOREIGN, "not a trial file; ignored")
    try:
        return reader.read_named(path)
    except UnusableTrial as error:
        return Ailment(below, State(error.state.value), error.why)


def _notes(stored: Stored) -> list[Ailment]:
    """Return what is the matter with a trial that could be read."""
    below, record = Path(TRIALS) / stored.path.name, stored.record
    notes = []
    wrong = [check.wrong for check in checks_of(record, below.stem) if not check.ok]
    if wrong:
        notes.append(Ailment(below, State.INCONSISTENT, "; ".join(wrong)))
    if record.status == "failed" and record.failure:
        text = f"{record.backbone}, seed {record.seed}: {record.failure.type}, will be retried"
        notes.append(Ailment(below, State.FAILED, text))
    if not stored.seal:
        text = "written by a version of mritk without seals; changes cannot be detected"
        notes.append(Ailment(below, State.UNSEALED, text))
    return notes


def _duplicates(records: list[TrialRecord]) -> list[Ailment]:
    """Name trials of one identity under several ids."""
    same: dict[tuple[object, ...], list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.finished:
            same[tuple(getattr(record, name) for name in IDENTITY)].append(record)
    return [
        Ailment(
            Path(TRIALS) / f"{record.id}.h5",
            State.DUPLICATE,
            f"the same backbone, protocol, fold and seed as {others[0].id[:8]}, but a different "
            "split, plugin or weight file; tables include both",
        )
        for first, *others in same.values()
        if others
        for record in (first,)
    ]


def _leftovers(folder: ResultsFolder, whole: dict[str, TrialRecord]) -> list[Ailment]:
    """Name checkpoints, models and half-written files that belong to nothing."""
    found = []
    inside = [*folder.path.glob("*"), *(folder.path / CHECKPOINTS).glob("*")]
    for path in sorted([*inside, *(folder.path / MODELS).glob("*")]):
        below, record = path.relative_to(folder.path), whole.get(path.stem)
        if _temporary(path):
            found.append(_left(path, below, "half-written"))
        elif below.parts[0] == CHECKPOINTS and record is not None and record.finished:
            found.append(_left(path, below, "checkpoint of a finished trial"))
        elif below.parts[0] == CHECKPOINTS and path.suffix == ".ckpt" and record is None:
            text = "unfinished; 'mritk run' resumes it, unless it is being trained now"
            found.append(Ailment(below, State.INTERRUPTED, text))
        elif below.parts[0] == MODELS and len(below.parts) > 1 and record is None:
            found.append(Ailment(below, State.ORPHAN, "a model without a trial"))
    return found


def _temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".tmp"


def _left(path: Path, below: Path, text: str) -> Ailment:
    """Return what to say of a file that nobody needs, unless somebody is writing it."""
    age = 0.0
    with suppress(OSError):  # gone meanwhile, so it was in use
        age = time.time() - path.stat().st_mtime
    if age > ABANDONED_AFTER:
        return Ailment(below, State.LEFTOVER, text)
    return Ailment(below, State.IN_USE, f"{text}; kept until it is an hour old")


def cure(folder: ResultsFolder, diagnosis: Diagnosis) -> list[str]:
    """Do what harms nothing: renew the view, delete leftovers, set spoiled files aside.

    Returns:
        What was done, one line each. No trial is ever deleted, and no file is touched that cannot
        be read now or that somebody may be writing.

    Raises:
        StoreError: A file cannot be moved, or the view not be written.
    """
    done = []
    with TrialReader() as reader:
        for ailment in diagnosis.ailments:
            path = folder.path / ailment.path
            if ailment.state is State.LEFTOVER:
                done.append(_delete(path, ailment))
            elif ailment.state.spoiled and _examine(path, reader) == ailment:  # as it was then
                place = folder.set_aside(path)
                done.append(f"moved {ailment.path} to {place.relative_to(folder.path)}")
    if done or any(ailment.state is State.STALE for ailment in diagnosis.ailments):
        folder.rebuild_view()
        done.append(f"renewed {VIEW}")
    return done


def _delete(path: Path, ailment: Ailment) -> str:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return f"cannot delete {ailment.path}: {error.strerror or error}"
    return f"deleted {ailment.path} ({ailment.text})"
