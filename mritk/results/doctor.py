"""Look into every corner of a results folder: what is torn, altered, foreign, twice, or stale."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import h5py

from mritk.errors import StoreError
from mritk.results.checks import checks_of
from mritk.results.digest import SEAL, digest_of
from mritk.results.folder import CHECKPOINTS, TRIALS, VIEW, ResultsFolder
from mritk.results.kept_model import MODELS
from mritk.results.trialfile import SCHEMA, TrialRecord, read_trial
from mritk.results.view import seal_of, stale_scores, stale_view

QUARANTINE = "quarantine"
IDENTITY = ("dataset_fingerprint", "backbone", "augmentation", "fingerprint", "fold", "seed")


class State(str, Enum):
    """What is the matter with a file."""

    TORN = "torn"
    ALTERED = "altered"
    FOREIGN = "foreign"
    NEWER = "newer schema"
    INCONSISTENT = "inconsistent"
    DUPLICATE = "duplicate"
    FAILED = "failed trial"
    UNSEALED = "unsealed"
    LEFTOVER = "leftover"
    STALE = "stale"
    ORPHAN = "orphan"

    @property
    def serious(self) -> bool:
        """Whether data are lost or cannot be trusted; the rest are notes."""
        return self in (State.TORN, State.ALTERED, State.FOREIGN, State.INCONSISTENT)


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


def diagnose(folder: ResultsFolder) -> Diagnosis:
    """Open every file of a results folder.

    Raises:
        UsageError: There is no such folder.
    """
    any(folder.trials())  # refuses a folder that is not there
    found: list[Ailment] = []
    whole: list[TrialRecord] = []
    for path in sorted((folder.path / TRIALS).iterdir()) if _has_trials(folder) else []:
        ailments, record = _examine(path)
        found += ailments
        if record is not None:
            whole.append(record)
    found += _duplicates(whole)
    found += _leftovers(folder, {record.id: record for record in whole})
    if reason := stale_view(folder):
        found.append(Ailment(Path(VIEW), State.STALE, f"{reason}; 'mritk doctor --fix' renews it"))
    elif reason := stale_scores(folder):
        found.append(Ailment(Path(VIEW), State.STALE, f"{reason}; 'mritk rescore' renews them"))
    return Diagnosis(len(whole), tuple(found))


def _has_trials(folder: ResultsFolder) -> bool:
    return (folder.path / TRIALS).is_dir()


def _examine(path: Path) -> tuple[list[Ailment], TrialRecord | None]:
    """Return what is the matter with one file among the trials, and its content if it is whole."""
    below = Path(TRIALS) / path.name
    if path.name.startswith(".") and path.suffix == ".tmp":
        text = "what a stopped process left half-written"
        return [Ailment(below, State.LEFTOVER, text)], None
    if path.suffix != ".h5" or not path.is_file():
        text = "no trial file; mritk passes it over"
        return [Ailment(below, State.FOREIGN, text)], None
    if refused := _refused(path):
        return [Ailment(below, *refused)], None
    try:
        record = read_trial(path)
    except StoreError as error:
        return [Ailment(below, State.TORN, str(error))], None
    return _notes(below, record, sealed=bool(seal_of(path))), record


def _refused(path: Path) -> tuple[State, str] | None:
    """Return why a file is not read at all, if it is not."""
    try:
        with h5py.File(path, "r") as file:
            if "schema" not in file.attrs:
                return State.FOREIGN, "an HDF5 file, but not one of a trial"
            if (schema := int(file.attrs["schema"])) > SCHEMA:
                return State.NEWER, f"has schema {schema}; this mritk reads up to {SCHEMA}"
            if SEAL in file.attrs and file.attrs[SEAL] != digest_of(file):
                return State.ALTERED, "changed after it was written: its digest is another"
    except Exception as error:  # damage can surface as nearly any exception of h5py
        return State.TORN, f"cannot be opened: {' '.join(str(error).split())}"
    return None


def _notes(below: Path, record: TrialRecord, *, sealed: bool) -> list[Ailment]:
    """Return what is the matter with a trial that could be read."""
    notes = []
    wrong = [check.wrong for check in checks_of(record, below.stem) if not check.ok]
    if wrong:
        notes.append(Ailment(below, State.INCONSISTENT, "; ".join(wrong)))
    if record.status == "failed" and record.failure:
        text = f"{record.backbone}, seed {record.seed}: {record.failure.type}, to be tried again"
        notes.append(Ailment(below, State.FAILED, text))
    if not sealed:
        text = "written by an mritk that did not seal; changes cannot be noticed"
        notes.append(Ailment(below, State.UNSEALED, text))
    return notes


def _duplicates(records: list[TrialRecord]) -> list[Ailment]:
    """Name trials of one identity under several ids."""
    same: dict[tuple[object, ...], list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.status == "finished":
            same[tuple(getattr(record, name) for name in IDENTITY)].append(record)
    return [
        Ailment(
            Path(TRIALS) / f"{record.id}.h5",
            State.DUPLICATE,
            f"the same backbone, protocol, fold and seed as {others[0].id[:8]}, but another split, "
            f"plugin or weight file; tables count both",
        )
        for first, *others in same.values()
        if others
        for record in (first,)
    ]


def _leftovers(folder: ResultsFolder, whole: dict[str, TrialRecord]) -> list[Ailment]:
    """Name checkpoints, models and half-written files that belong to nothing."""
    found = []
    for path in sorted(folder.path.glob(".*.tmp")):
        found.append(Ailment(Path(path.name), State.LEFTOVER, "half-written"))
    for path in sorted((folder.path / CHECKPOINTS).glob("*")):
        below = path.relative_to(folder.path)
        record = whole.get(path.stem)
        if path.suffix == ".tmp":
            found.append(Ailment(below, State.LEFTOVER, "half-written"))
        elif record is not None and record.status == "finished":
            found.append(Ailment(below, State.LEFTOVER, "checkpoint of a finished trial"))
    for path in sorted((folder.path / MODELS).glob("*")):
        below = path.relative_to(folder.path)
        if path.suffix == ".tmp":
            found.append(Ailment(below, State.LEFTOVER, "half-written"))
        elif path.stem not in whole:
            found.append(Ailment(below, State.ORPHAN, "a model without a trial"))
    return found


def cure(folder: ResultsFolder, diagnosis: Diagnosis) -> list[str]:
    """Do what harms nothing: renew the view, delete leftovers, set torn files aside.

    Returns:
        What was done, one line each. No trial is ever deleted.
    """
    done = []
    for ailment in diagnosis.ailments:
        path = folder.path / ailment.path
        if ailment.state is State.LEFTOVER:
            path.unlink(missing_ok=True)
            done.append(f"deleted {ailment.path} ({ailment.text})")
        elif ailment.state in (State.TORN, State.FOREIGN) and path.exists():
            aside = folder.path / QUARANTINE / path.name
            aside.parent.mkdir(exist_ok=True)
            if not aside.exists():
                path.rename(aside)
                done.append(f"moved {ailment.path} to {QUARANTINE}")
    if done or any(ailment.state is State.STALE for ailment in diagnosis.ailments):
        folder.rebuild_view()
        done.append(f"renewed {VIEW}")
    return done
