"""A results folder: immutable trial files, and ``results.h5`` as a view over them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import h5py

from mritk.errors import StoreError, UsageError
from mritk.results.trialfile import TrialRecord, read_trial, write_hdf5, write_trial

VIEW = "results.h5"
TRIALS = "trials"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class ResultsFolder:
    """Trials stored under ``path``."""

    path: Path

    def require_reachable(self) -> None:
        """Refuse a folder that could not be made or written; nothing is made.

        Raises:
            UsageError: A file is in the way, the name is too long, or a right is missing.
        """
        try:
            self.path.stat()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._unwritable(error) from error
        place = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if not os.access(place, os.W_OK | os.X_OK):
            raise self._unwritable(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    def require_writable(self) -> None:
        """Create the folder and try to write into it, before anything is trained.

        Raises:
            UsageError: It cannot be created or written.
        """
        try:
            (self.path / TRIALS).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path / TRIALS) as probe:
                probe.write(b"\0")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UsageError:
        why = os.strerror(error.errno) if error.errno else str(error)
        hint = "free some space" if error.errno == errno.ENOSPC else "check its permissions"
        return UsageError(
            f"results folder {self.path} cannot be written: {why}; {hint}, or choose another "
            f"with --results"
        )

    def trial_path(self, trial_id: str) -> Path:
        """Return where the file of a trial stands or will stand."""
        return self.path / TRIALS / f"{trial_id}.h5"

    def checkpoint_path(self, trial_id: str) -> Path:
        """Return where a trial that is not finished keeps what it needs to go on."""
        return self.path / CHECKPOINTS / f"{trial_id}.ckpt"

    def discard_checkpoint(self, trial_id: str) -> None:
        """Delete the checkpoint of a trial, and what a kill left of one half-written."""
        path = self.checkpoint_path(trial_id)
        path.unlink(missing_ok=True)
        for torn in path.parent.glob(f".{path.name}*.tmp"):
            torn.unlink(missing_ok=True)

    def remove_empty_folders(self) -> None:
        """Delete the folder of the checkpoints if there are none."""
        with suppress(OSError):  # others are still in there, or there never was one
            (self.path / CHECKPOINTS).rmdir()

    def write(self, record: TrialRecord) -> Path:
        """Store a trial, replacing a failed attempt at it, and return its path.

        Raises:
            StoreError: It cannot be written.
        """
        path = self.trial_path(record.id)
        write_trial(record, path)
        return path

    def status(self, trial_id: str) -> str:
        """Return ``finished``, ``failed``, ``damaged``, ``interrupted``, or ``absent``.

        An interrupted trial has a checkpoint, but no file yet.
        """
        path = self.trial_path(trial_id)
        if not path.exists():
            return "interrupted" if self.checkpoint_path(trial_id).exists() else "absent"
        try:
            return read_trial(path).status
        except StoreError:
            return "damaged"

    def trials(self) -> Iterator[TrialRecord | StoreError]:
        """Yield every trial in order of id; a damaged file gives an error in its place.

        Raises:
            UsageError: There is no such folder.
        """
        if not self.path.is_dir():
            raise UsageError(
                f"no results folder {self.path}; to make one: mritk run --results "
                f"{quote(str(self.path))}"
            )
        for path in sorted((self.path / TRIALS).glob("*.h5")):
            try:
                yield read_trial(path)
            except StoreError as error:
                yield error

    def any(self) -> bool:
        """Tell whether there is a trial file, whatever its state."""
        return next((self.path / TRIALS).glob("*.h5"), None) is not None

    def rebuild_view(self) -> None:
        """Write ``results.h5`` anew: one external link per trial file.

        The view holds nothing of its own; losing it loses nothing. A table of scores that
        'mritk rescore' put there goes: it would not be that of all trials.

        Raises:
            StoreError: It cannot be written.
        """
        paths = sorted((self.path / TRIALS).glob("*.h5"))

        def fill(view: h5py.File) -> None:
            group = view.create_group(TRIALS)
            for path in paths:
                group[path.stem] = h5py.ExternalLink(f"{TRIALS}/{path.name}", "/")

        write_hdf5(self.path / VIEW, fill)
