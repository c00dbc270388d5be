"""A results folder: immutable trial files, and ``results.h5`` as a view over them."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mritk.errors import StoreError, Unavailable, UsageError
from mritk.files.atomic import write_whole
from mritk.files.draft import remove
from mritk.files.ground import ground_of, why_not_writable
from mritk.files.remedy import remedy_of
from mritk.files.results_names import ENDING, INDEX, TRIALS
from mritk.files.user_path import as_typed
from mritk.store.index_file import IndexFile, stamp_of, time_of
from mritk.store.places import entries, trial_paths, trial_place
from mritk.store.trial_file import ADVICE, Stored, TrialReader, TrialRecord, write_trial
from mritk.store.trial_state import TrialState, UnusableTrial
from mritk.store.view import write_view

logger = logging.getLogger("mritk")

CHECKPOINTS = "checkpoints"
# The end of the name of the folder beside a checkpoint.
FILES = ".files"
QUARANTINE = "quarantine"
# To read the state of one trial takes as long as to write so many lines of the index.
WORTH_WRITING = 200


@dataclass(frozen=True)
class ResultsFolder:
    """Trials stored under ``path``."""

    path: Path

    def require_there(self) -> None:
        """Refuse to read what is no folder, or the folder ``trials`` inside one.

        Raises:
            UsageError: There is no such folder, or a file in its place, or its trials alone.
        """
        if self.path.is_dir():
            above = self.path.parent if self.path.name else self.path.absolute().parent
            if self.path.absolute().name != TRIALS or self.is_there() or not trial_paths(above):
                return
            raise UsageError(
                f"{self.path} is a part of the results folder {above}; did you mean {above}?"
            )
        if self.path.is_file():
            raise UsageError(f"{self.path} is a file, not a results folder")
        ground_of(self.path)  # refuses a link that leads nowhere
        raise UsageError(
            f"no results folder {self.path}; to create one: mritk run --results "
            f"{as_typed(self.path)}"
        )

    def says_empty(self) -> str:
        """Return what to tell a person who asks for trials where there are none."""
        run = f"mritk run --results {as_typed(self.path)}"
        return f"no trials in {self.path}; to train some: {run}"

    def is_there(self) -> bool:
        """Tell whether the folder is there now, with the trials that a run puts into it.

        A place where nothing is mounted for the moment is an empty folder.
        """
        try:
            return (self.path / TRIALS).is_dir()
        except OSError:
            return False

    def require_reachable(self) -> None:
        """Refuse a folder that could not be made or written; nothing is made.

        Where trials are stored already there may be nothing to write.

        Raises:
            UsageError: A file or a link that leads nowhere is in the way, the name is too long, or
                a right is missing.
        """
        try:
            self.path.stat()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._unwritable(error) from error
        place = ground_of(self.path / TRIALS)
        why = why_not_writable(place)
        if why and not (place.is_dir() and self.any()):
            raise self._unwritable(why)

    def require_writable(self) -> None:
        """Create the folder and try to write into it, before anything is trained.

        Raises:
            UsageError: It cannot be created or written.
        """
        self.require_reachable()
        try:
            (self.path / TRIALS).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path / TRIALS) as probe:
                probe.write(b"\0")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UsageError:
        why = os.strerror(error.errno) if error.errno else str(error)
        return UsageError(
            f"results folder {self.path} is not writable: {why}; "
            f"{remedy_of(error, self.path / TRIALS)}, or choose another"
        )

    def trial_path(self, trial_id: str) -> Path:
        """Return where the file of a trial stands or will stand."""
        return trial_place(self.path, trial_id)

    def checkpoint_path(self, trial_id: str) -> Path:
        """Return where a trial that is not finished keeps what it needs to resume."""
        return self.path / CHECKPOINTS / f"{trial_id}.ckpt"

    def with_checkpoint(self) -> list[str]:
        """Return the ids of trials with a checkpoint, sorted."""
        return sorted(path.stem for path in (self.path / CHECKPOINTS).glob("[!.]*.ckpt"))

    def discard_checkpoints(self, trial_ids: Iterable[str]) -> None:
        """Delete the checkpoints of trials, their folders, and what a kill left half-written."""
        unneeded = set(trial_ids)
        with suppress(OSError):  # there never was one
            for path in (self.path / CHECKPOINTS).iterdir():
                if path.name.removeprefix(".").partition(".")[0] in unneeded:
                    remove(path)  # the trial is stored; doctor names what is left

    def write(self, record: TrialRecord, *, create: bool = True) -> Path:
        """Store a trial, replacing an earlier attempt at it, and return its path.

        What stands under its name and cannot be read is set aside, not overwritten.

        Args:
            record: The trial.
            create: Create the folder if it is not there.

        Raises:
            StoreError: It cannot be written.
        """
        path = self._made_free(record.id)
        write_trial(record, path, parents=None if create else self._to_create(path))
        return path

    def write_content(self, trial_id: str, content: bytes) -> Path:
        """Store a trial file that was written elsewhere; the folder must be there.

        See :meth:`write`.
        """
        path = self._made_free(trial_id)
        write_whole(path, content, ADVICE, parents=self._to_create(path))
        return path

    def _to_create(self, path: Path) -> int:
        """Return how many folders above a trial file may be created where the folder is there: that
        of many trials, but not that of all, which an empty mount point lacks."""
        return 0 if path.parent == self.path / TRIALS else 1

    def _made_free(self, trial_id: str) -> Path:
        """Return the place of a trial file, where nothing stands that cannot be read."""
        path = self.trial_path(trial_id)
        usable = (TrialState.FINISHED, TrialState.FAILED)
        if os.path.lexists(path) and self.status(trial_id) not in usable:
            self.set_aside(path)
        return path

    def set_aside(self, path: Path) -> Path:
        """Move a file to the quarantine, under a name that is free there; return where it is.

        Raises:
            StoreError: It cannot be moved.
        """
        aside = self.path / QUARANTINE / path.name
        try:
            aside.parent.mkdir(exist_ok=True)
            numbers = count(1)
            while os.path.lexists(aside):
                aside = aside.with_name(f"{path.stem}.{next(numbers)}{path.suffix}")
            return path.rename(aside)
        except OSError as error:
            raise StoreError(
                f"cannot move {path} to {aside.parent}: {error.strerror or error}; move it manually"
            ) from error

    def status(self, trial_id: str) -> TrialState:
        """Return the state of a trial."""
        path = self.trial_path(trial_id)
        if not os.path.lexists(path):
            return self._state_without_file(trial_id)
        with TrialReader() as reader:
            return _state_in(path, reader)

    def states(self, trial_ids: Iterable[str]) -> dict[str, TrialState]:
        """Return the state of each trial, by its id; files that the index knows are not read.

        Raises:
            Unavailable: The folder cannot be listed now.
        """
        index, paths = self.index(), trial_paths(self.path)
        states: dict[str, TrialState] = {}
        unknown = []
        for trial_id in trial_ids:
            if (path := paths.get(trial_id)) is None:
                states[trial_id] = self._state_without_file(trial_id)
            elif known := index.state(trial_id, stamp_of(path)):
                states[trial_id] = known
            else:
                states[trial_id] = TrialState.UNREADABLE  # keeps the order
                unknown.append(trial_id)
        if unknown:
            states |= self._read_states({trial_id: paths[trial_id] for trial_id in unknown}, index)
        return states

    def _read_states(self, paths: Mapping[str, str], index: IndexFile) -> dict[str, TrialState]:
        """Read the state of trials from their files, and keep it in the index if it pays."""
        states, began, kept = {}, time_of(self.path), 0
        with TrialReader() as reader:
            for trial_id, path in paths.items():
                stamp = stamp_of(path)
                states[trial_id] = _state_in(Path(path), reader)
                kept += index.note_state(trial_id, states[trial_id], stamp, began)
        if kept * WORTH_WRITING > len(index.lines):
            index.write()
        return states

    def _state_without_file(self, trial_id: str) -> TrialState:
        begun = self.checkpoint_path(trial_id).exists()
        return TrialState.INTERRUPTED if begun else TrialState.ABSENT

    def look_up(
        self, trial_ids: Iterable[str]
    ) -> Iterator[tuple[str, TrialRecord | UnusableTrial | None]]:
        """Yield each id with its trial, or why its file gives none; None where there is no file."""
        with TrialReader() as reader:
            for trial_id in trial_ids:
                path = self.trial_path(trial_id)
                stored = _named(path, reader) if os.path.lexists(path) else None
                yield trial_id, stored.record if isinstance(stored, Stored) else stored

    def trials(self) -> Iterator[TrialRecord | UnusableTrial]:
        """Yield every trial in order of id; a file that gives none gives an error in its place.

        A copy under another name is such a file, or its trial would count twice.

        Raises:
            UsageError: There is no such folder.
        """
        for stored in self.stored():
            yield stored.record if isinstance(stored, Stored) else stored

    def stored(self) -> Iterator[Stored | UnusableTrial]:
        """Yield what :meth:`trials` does, each trial with its file and seal.

        Raises:
            UsageError: There is no such folder.
        """
        with TrialReader() as reader:
            for path in self.trial_files():
                yield _named(path, reader)

    def trial_files(self) -> list[Path]:
        """Return the trial files in order of id, whatever their state.

        Raises:
            UsageError: There is no such folder.
        """
        self.require_there()
        return [Path(path) for path in self.trial_paths().values()]

    def trial_paths(self) -> dict[str, str]:
        """Return the path of each trial file by its name without ending, which is its trial's id.

        Raises:
            UsageError: There is no such folder.
            Unavailable: It cannot be listed now.
        """
        self.require_there()
        return trial_paths(self.path)

    def index(self) -> IndexFile:
        """Return what is known of trial files that were read before."""
        return IndexFile.read(self.path / INDEX)

    def any(self) -> bool:
        """Tell whether there is a trial file, whatever its state."""
        return any(entry.name.endswith(ENDING) for entry, _ in entries(self.path))

    def tidy(self) -> None:
        """Renew the view at the end of a run, and remove what is empty.

        No trial depends on it: what goes wrong is a warning, and never takes the place of an error
        that ended the run.
        """
        if not self.is_there():  # deleted or moved meanwhile; it must not come to life again
            return
        with suppress(OSError):  # checkpoints are still in there, or there never was one
            (self.path / CHECKPOINTS).rmdir()
        try:
            self.rebuild_view()
        except (StoreError, Unavailable) as error:
            logger.warning("%s; 'mritk doctor --fix' recreates it", error)

    def rebuild_view(self) -> None:
        """Write ``results.h5`` anew: one external link per trial file.

        The view holds nothing of its own; losing it loses nothing. A table of scores that
        'mritk rescore' put there goes: it would not be that of all trials.

        Raises:
            StoreError: It cannot be written.
        """
        write_view(self.path)


def _state_in(path: Path, reader: TrialReader) -> TrialState:
    try:
        return reader.read_state(path)
    except UnusableTrial as error:
        return error.state


def _named(path: Path, reader: TrialReader) -> Stored | UnusableTrial:
    """Return the trial of a file that is named after it, or why it gives none."""
    try:
        return reader.read_named(path)
    except UnusableTrial as error:
        return error
