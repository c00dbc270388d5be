"""Look into every corner of a results folder: what is torn, altered, foreign, twice, or stale."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mritk.errors import ExitCode
from mritk.files.draft import last_touched
from mritk.files.results_names import ENDING, TRIALS, VIEW
from mritk.store.checks import checks_of
from mritk.store.claims import is_claimed
from mritk.store.folder import CHECKPOINTS, FILES, ResultsFolder
from mritk.store.kept_model import MODELS, kept_digest
from mritk.store.places import entries
from mritk.store.trial_file import Stored, TrialReader
from mritk.store.trial_state import UnusableTrial
from mritk.store.view import stale_view

IDENTITY = ("dataset_fingerprint", "backbone", "augmentation", "fingerprint", "fold", "seed")
# A process that writes a file changes it all the time, so one that nobody has touched for an hour
# is nobody's. A lock would tell at once, but not on every network drive.
ABANDONED_AFTER = 3600.0
OF_FINISHED = "checkpoint of a finished trial"


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
    whole: dict[str, _Whole] = {}
    with TrialReader() as reader:
        for path, is_in_place in _in_order(folder):
            below = path.relative_to(folder.path)
            examined = _examine(path, below, reader) if is_in_place else _misplaced(path, below)
            if isinstance(examined, Stored) and examined.record.id in whole:
                found.append(_twice(below))
            elif isinstance(examined, Stored):
                found += _notes(examined, below)
                whole[examined.record.id] = _Whole.of(examined, below)
            else:
                found.append(examined)
    found += _duplicates(whole)
    found += _leftovers(folder, whole)
    if reason := stale_view(folder.path, {id_: one.seal for id_, one in whole.items()}):
        found.append(Ailment(Path(VIEW), State.STALE, reason))
    return Diagnosis(len(whole), tuple(found))


def _in_order(folder: ResultsFolder) -> list[tuple[Path, bool]]:
    """Return all that :func:`entries` yields, files in ``trials`` itself first, for they count."""
    found = [(Path(entry.path), is_in_place) for entry, is_in_place in entries(folder.path)]
    # Systems leave hidden files of their own, such as .DS_Store.
    found = [one for one in found if _temporary(one[0]) or not one[0].name.startswith(".")]
    return sorted(found, key=lambda one: (len(one[0].parts), one))


@dataclass(frozen=True)
class _Whole:
    """What is remembered of a trial that could be read, since all records would fill the memory."""

    below: Path
    seal: str
    finished: bool
    modelled: bool
    identity: tuple[object, ...]

    @classmethod
    def of(cls, stored: Stored, below: Path) -> _Whole:
        record = stored.record
        identity = tuple(getattr(record, name) for name in IDENTITY)
        return cls(below, stored.seal, record.finished, bool(kept_digest(record)), identity)


def _examine(path: Path, below: Path, reader: TrialReader) -> Stored | Ailment:
    """Return the trial of one file among the trials, or what is the matter with it.

    ``below`` is its path below the results folder.
    """
    if _temporary(path):
        return _left(path, below, "half-written")
    if path.suffix != ENDING:
        return Ailment(below, State.FOREIGN, "not a trial file; ignored")
    try:
        return reader.read_named(path)
    except UnusableTrial as error:
        return Ailment(below, State(error.state.value), error.why)


def _misplaced(path: Path, below: Path) -> Ailment:
    if _temporary(path):
        return _left(path, below, "half-written")
    text = f"not in its place, so it is ignored; to use a trial file, move it to {TRIALS}"
    return Ailment(below, State.FOREIGN, text)


def _twice(below: Path) -> Ailment:
    text = f"the same trial is in {TRIALS}/{below.name}, which counts; this file is ignored"
    return Ailment(below, State.DUPLICATE, text)


def _notes(stored: Stored, below: Path) -> list[Ailment]:
    """Return what is the matter with a trial that could be read."""
    record = stored.record
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


def _duplicates(whole: dict[str, _Whole]) -> list[Ailment]:
    """Name trials of one identity under several ids."""
    same: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for trial_id, one in whole.items():
        if one.finished:
            same[one.identity].append(trial_id)
    return [
        Ailment(
            whole[first].below,
            State.DUPLICATE,
            f"the same backbone, protocol, fold and seed as {others[0][:8]}, but a different "
            "split, plugin or weight file; tables include both",
        )
        for first, *others in same.values()
        if others
    ]


def _leftovers(folder: ResultsFolder, whole: dict[str, _Whole]) -> list[Ailment]:
    """Name checkpoints, models and half-written files that belong to nothing."""
    found = []
    inside = [*folder.path.glob("*"), *(folder.path / CHECKPOINTS).glob("*")]
    for path in sorted([*inside, *(folder.path / MODELS).glob("*")]):
        below, trial = path.relative_to(folder.path), whole.get(path.stem)
        if _temporary(path):
            found.append(_left(path, below, "half-written"))
        elif path.name.startswith("."):
            continue
        elif below.parts[0] == CHECKPOINTS and trial is not None and trial.finished:
            found.append(_unneeded(folder, path, below))
        elif below.parts[0] == CHECKPOINTS and path.suffix == ".ckpt" and trial is None:
            found.append(_interrupted(folder, path, below))
        elif below.parts[0] == MODELS and len(below.parts) > 1 and trial is None:
            found.append(Ailment(below, State.ORPHAN, "a model without a trial"))
        elif below.parts[0] == MODELS and trial is not None and not trial.modelled:
            text = "not the model of its trial, which is stored without one"
            found.append(Ailment(below, State.ORPHAN, text))
    return found


def _interrupted(folder: ResultsFolder, path: Path, below: Path) -> Ailment:
    if is_claimed(folder, path.stem):
        return Ailment(below, State.IN_USE, "checkpoint of a trial that is being trained")
    text = "unfinished; the same 'mritk run' resumes it, --discard-checkpoints deletes it"
    return Ailment(below, State.INTERRUPTED, text)


def _unneeded(folder: ResultsFolder, path: Path, below: Path) -> Ailment:
    """Return what to say of a checkpoint of a finished trial, or of the folder beside it."""
    if is_claimed(folder, path.stem):
        return Ailment(below, State.IN_USE, "checkpoint of a trial that is being trained again")
    checkpoint = folder.checkpoint_path(path.stem)  # who writes one of the two needs both
    return _left(path, below, OF_FINISHED, checkpoint, checkpoint.with_suffix(FILES))


def _temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".tmp"


def _left(path: Path, below: Path, text: str, *beside: Path) -> Ailment:
    """Return what to say of a file that nobody needs, unless somebody is writing it.

    Those ``beside`` it, where there are, are in use with it.
    """
    age = 0.0
    with suppress(OSError):  # gone meanwhile, so it was in use
        others = [last_touched(one) for one in beside if one.exists()]
        age = time.time() - max([last_touched(path), *others])
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
            if ailment.state is State.LEFTOVER and _is_still_left(ailment, path, folder):
                done.append(_delete(path, ailment))
            elif ailment.state.spoiled and _is_still(ailment, path, reader):
                place = folder.set_aside(path)
                done.append(f"moved {ailment.path} to {place.relative_to(folder.path)}")
    if done or any(ailment.state is State.STALE for ailment in diagnosis.ailments):
        folder.rebuild_view()
        done.append(f"renewed {VIEW}")
    return done


def _is_still(ailment: Ailment, path: Path, reader: TrialReader) -> bool:
    """Tell whether a file is as it was when the doctor found it."""
    return ailment in (_misplaced(path, ailment.path), _examine(path, ailment.path, reader))


def _is_still_left(ailment: Ailment, path: Path, folder: ResultsFolder) -> bool:
    """Tell whether nobody has begun to use what the doctor found to be left."""
    if ailment.text == OF_FINISHED:
        return _unneeded(folder, path, ailment.path) == ailment
    return _left(path, ailment.path, ailment.text) == ailment


def _delete(path: Path, ailment: Ailment) -> str:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        return f"cannot delete {ailment.path}: {error.strerror or error}"
    return f"deleted {ailment.path} ({ailment.text})"
