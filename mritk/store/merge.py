"""Copy the trials of several results folders into one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mritk.errors import ExitCode, StoreError, UsageError
from mritk.files.atomic import write_whole
from mritk.files.regular_file import is_regular_file
from mritk.store.explanations import explanations_path
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import kept_digest, model_path, set_model_aside
from mritk.store.layout import ATTRIBUTES
from mritk.store.raw_seal import seal_holds
from mritk.store.trial_file import Predictions, Stored, TrialRecord, read_trial
from mritk.store.trial_state import TrialState, UnreadableTrial, UnusableTrial

# Names that may differ in trials of one id, which is made of contents.
NAMES = ("dataset", "protocol", "backbone")
# What two trainings of one trial must agree in; times, machine and notes may differ.
RESULT = (
    *(name for name in ATTRIBUTES if name not in NAMES),
    *("task", "protocol_json", "splits", "skipped", "predictions"),
)


@dataclass
class Merge:
    """What became of each file.

    Attributes:
        copied: Trials that were copied, or took the place of a failed one.
        same: Trials that were there already.
        conflicts: Trials of one id with different results; the one that was there stays.
        damaged: Files that give no trial, and were left out.
        unreadable: Files that cannot be read now, and were left out.
        explained: Trials that are in the target, whose explanations were copied.
        modelled: Trials that were in the target without their model, which was copied.
        renamed: Trials that were there already under other names of dataset, protocol or backbone.
    """

    copied: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    modelled: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)

    def leave_out(self, error: UnusableTrial, text: str) -> None:
        """Remember a file that gives no trial."""
        unreadable = isinstance(error, UnreadableTrial)
        (self.unreadable if unreadable else self.damaged).append(text)

    @property
    def exit_code(self) -> ExitCode:
        """What a command that shows this ends with."""
        if self.conflicts or self.damaged:
            return ExitCode.GATE_FAILED
        return ExitCode.UNAVAILABLE if self.unreadable else ExitCode.OK


def merge(sources: Sequence[ResultsFolder], target: ResultsFolder, *, dry_run: bool) -> Merge:
    """Copy every trial of the sources into the target; a finished one replaces a failed one.

    Models and explanations follow their trial, also one that is there already and has none.

    Raises:
        UsageError: A source does not exist, or is the target.
        StoreError: A source cannot be read, or the target not be written.
    """
    for source in sources:
        source.require_there()
        if source.path.resolve() == target.path.resolve():
            raise UsageError(f"{source.path} cannot be merged into itself")
    merging = _Merging(target, dry_run)
    for source in sources:
        for found in source.stored():
            if isinstance(found, UnusableTrial):
                merging.done.leave_out(found, str(found))
            else:
                merging.take(found, source)
    if merging.done.copied and not dry_run:
        target.rebuild_view()
    return merging.done


@dataclass
class _Merging:
    """What is copied into a target, trial by trial."""

    target: ResultsFolder
    dry_run: bool
    done: Merge = field(default_factory=Merge)
    planned: dict[str, Path] = field(default_factory=dict)
    with_model: set[str] = field(default_factory=set)

    def take(self, found: Stored, source: ResultsFolder) -> None:
        """Copy of a trial what the target lacks."""
        name, target, done = found.record.id, self.target, self.done
        there = _there(name, self.planned.get(name), target)
        if _wanted(found, there, done):
            if name not in self.planned:
                done.copied.append(name)
            self.planned[name] = found.path
            if _has_model(found, source):
                self.with_model.add(name)
            if not self.dry_run:
                _copy(found, source, target)
        elif name not in self.with_model and _has_model_of(there, source, target):
            self.with_model.add(name)
            done.modelled.append(name)
            if not self.dry_run:
                _copy_model(name, source, target)
        held = self.planned.get(name) == found.path or f"{name} ({found.path})" in done.same
        if held and found.record.finished and _explains(name, source, target, done):
            done.explained.append(name)
            if not self.dry_run:
                _copy_explanations(name, source, target)


def _there(
    trial_id: str, planned: Path | None, target: ResultsFolder
) -> TrialRecord | UnusableTrial | None:
    """Return the trial that the target has, or that was to be copied there."""
    if planned is not None:
        return read_trial(planned)
    ((_, there),) = target.look_up([trial_id])
    return there


def _wanted(found: Stored, there: TrialRecord | UnusableTrial | None, done: Merge) -> bool:
    """Whether a trial adds something to the target; where it does not, remember why."""
    record = found.record
    if isinstance(there, UnusableTrial):
        done.leave_out(there, f"{there}; left unchanged")
        return False
    if there is None:
        return True
    if there.status == TrialState.FAILED and record.status == TrialState.FINISHED:
        return True
    agree = _agree(there, record)
    (done.same if agree else done.conflicts).append(f"{record.id} ({found.path})")
    pairs = [(name, getattr(record, name), getattr(there, name)) for name in NAMES]
    one_result = agree and there.finished and record.finished
    if other := [
        f"{name} {new}, not {old}" for name, new, old in pairs if one_result and new != old
    ]:
        done.renamed.append(f"{record.id} ({found.path}): {', '.join(other)}")
    return False


def _copy(found: Stored, source: ResultsFolder, target: ResultsFolder) -> None:
    name = found.record.id
    content, modelled = _content(found.path), _has_model(found, source)
    if modelled:
        _copy_model(name, source, target)  # first: who stops between the two copies both again
    write_whole(target.trial_path(name), content)
    if not modelled:
        set_model_aside(target, name)


def _has_model(found: Stored, source: ResultsFolder) -> bool:
    """Whether a trial comes with its network, not beside that of an earlier training."""
    return bool(kept_digest(found.record)) and is_regular_file(model_path(source, found.record.id))


def _copy_model(name: str, source: ResultsFolder, target: ResultsFolder) -> None:
    write_whole(model_path(target, name), _content(model_path(source, name)))


def _has_model_of(
    there: TrialRecord | UnusableTrial | None, source: ResultsFolder, target: ResultsFolder
) -> bool:
    """Whether a source has the model of a trial of the target, which is not there."""
    if not isinstance(there, TrialRecord) or not (kept := kept_digest(there)):
        return False
    path = model_path(source, there.id)
    if is_regular_file(model_path(target, there.id)) or not is_regular_file(path):
        return False
    return hashlib.sha256(_content(path)).hexdigest() == kept


def _explains(name: str, source: ResultsFolder, target: ResultsFolder, done: Merge) -> bool:
    """Whether a source has sound explanations of a trial that the target has none of."""
    path = explanations_path(source.path, name)
    if name in done.explained or not is_regular_file(path):
        return False
    if is_regular_file(explanations_path(target.path, name)):
        return False
    if not seal_holds(_content(path)):
        done.damaged.append(f"{path} was modified after it was written; repeat 'mritk explain'")
        return False
    return True


def _copy_explanations(name: str, source: ResultsFolder, target: ResultsFolder) -> None:
    """Copy the maps of a trial, and their files for other programs."""
    path = explanations_path(source.path, name)
    for file in (*sorted(path.with_suffix("").rglob("*.nii.gz")), path):
        write_whole(target.path / file.relative_to(source.path), _content(file))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot read {error.filename or path}: {error.strerror or error}; files already copied "
        "are kept, and the same command resumes"
    )


def _agree(there: TrialRecord, record: TrialRecord) -> bool:
    """Whether two files of one trial hold the same result.

    A failed attempt adds nothing to a finished trial, nor to another attempt.
    """
    if TrialState.FAILED in (there.status, record.status):
        return True
    return all(_same(getattr(there, name), getattr(record, name)) for name in RESULT)


def _without(part: Predictions, unknown: tuple[str, ...]) -> Predictions:
    """Return predictions without the scores of cases that one of two files does not tell."""
    score = part.score.copy()
    score[:, [name in unknown for name in part.cases]] = np.nan
    return replace(part, score=score, unknown=unknown)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, Predictions):
        if (unknown := one.unknown + other.unknown) and one.cases == other.cases:
            one, other = _without(one, unknown), _without(other, unknown)
        names = [column.name for column in fields(one)]
        return all(_same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if one is None or other is None:
        return one is other
    return bool(one == other)
