"""The trial file: one immutable HDF5 file per trial, written whole or not at all.

What stands where in it: :mod:`mritk.store.layout`.
"""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py

from mritk.errors import MritkError, StoreError, one_line
from mritk.files.atomic import write_whole
from mritk.store.content import SEAL, Content, ReachesOutside
from mritk.store.guarded_calls import Crashed, Endless, GuardedCalls
from mritk.store.layout import SCHEMA, read_record, write_record
from mritk.store.raw_seal import seal_bytes, seal_holds
from mritk.store.record import Failure, Predictions, TrialRecord
from mritk.store.trial_state import (
    AlteredTrial,
    ForeignFile,
    MisnamedTrial,
    NewerTrial,
    TornTrial,
    TrialState,
    UnreadableTrial,
    UnusableTrial,
)

__all__ = [
    "SCHEMA",
    "TRIAL_ID",
    "Failure",
    "Predictions",
    "Stored",
    "TrialReader",
    "TrialRecord",
    "UnstorableTrial",
    "read_trial",
    "write_hdf5",
    "write_trial",
]

# mritk makes 20 hexadecimal digits; whatever is safe as a file name on every system is read. An id
# becomes part of paths, so it must not be able to lead anywhere else.
TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

# The first schemas with a digest of the content, and with one of the bytes.
SEALED_SINCE, PROVEN_SINCE = 3, 4
HDF5 = b"\x89HDF\r\n\x1a\n"
ADVICE = "choose another results folder. Trials already written are safe"
CHANGED = (
    "was modified after it was written (digest mismatch), so its numbers are not reliable; "
    "restore it, or retrain the trial"
)


class UnstorableTrial(MritkError):
    """A trial holds what no trial file can: nothing is written."""


def write_trial(record: TrialRecord, path: Path, *, parents: int | None = None) -> None:
    """Write ``record`` to ``path``: under another name first, synced, then renamed.

    Raises:
        StoreError: The folder cannot be written, or disk or memory is full; nothing is left.
        UnstorableTrial: HDF5 cannot hold its content.
    """

    def fill(file: h5py.File) -> None:
        try:
            write_record(record, file)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # what a method's notes raise when they are made text, too
            raise UnstorableTrial(
                f"a trial file cannot hold the result of trial {record.id[:8]}, so it failed: "
                f"{type(error).__name__}: {one_line(error)}; rename or leave out what is named"
            ) from error

    try:
        write_hdf5(path, fill, ADVICE, parents=parents)
    except (MemoryError, OSError) as error:  # HDF5 makes either of a shortage
        raise StoreError(
            f"cannot write {path}: {one_line(error)}; free memory and repeat the command. Trials "
            "already written are safe"
        ) from error


def write_hdf5(
    path: Path,
    fill: Callable[[h5py.File], None],
    advice: str = "write elsewhere",
    *,
    parents: int | None = None,
) -> None:
    """Write an HDF5 file that ``fill`` fills, whole or not at all.

    The file is made in memory: the HDF5 library cannot close a file that the disk refuses, and
    would crash the process at its end.

    Args:
        path: The file.
        fill: Called with the open file.
        advice, parents: See :func:`mritk.files.atomic.write_whole`.

    Raises:
        StoreError: It cannot be written; what stood at ``path`` before still does.
    """
    content = io.BytesIO()
    with h5py.File(content, "w", libver="earliest") as file:
        fill(file)
    write_whole(path, seal_bytes(content.getvalue()), advice, parents=parents)


@dataclass(frozen=True, eq=False)
class Stored:
    """A trial file that was read.

    Attributes:
        path: The file.
        record: Its content.
        seal: The digest of its content, which holds; ``""`` in files of schema 1 and 2.
    """

    path: Path
    record: TrialRecord
    seal: str


def read_trial(path: Path) -> TrialRecord:
    """Return the content of a trial file; see :class:`TrialReader` for many.

    Raises:
        UnusableTrial: It gives no trial. Which of its kinds says why: the file cannot be opened
            now, is torn, was changed after it was written, a newer mritk wrote it, or it is no
            trial file at all.
    """
    with TrialReader() as reader:
        return reader.read(path).record


class TrialReader:
    """Reads trial files.

    Nothing goes to the HDF5 library whose bytes are not proven: damaged ones can keep it busy for
    ever. What an earlier mritk wrote has no such proof, and is read in another process, one for all
    files, which ends when HDF5 does not.

    Attributes:
        seconds: How long that process may compute for one file, and a second more per megabyte.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self.seconds = seconds
        self._unproven = GuardedCalls("mritk.store.trial_file:unproven_trial")

    def __enter__(self) -> TrialReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the other process, if there is one."""
        self._unproven.close()

    def read(self, path: Path) -> Stored:
        """Return the content of a trial file, and its seal.

        Raises:
            UnusableTrial: See :func:`read_trial`.
        """
        content = _content_of(path)
        proven = seal_holds(content)
        if proven is False:
            raise AlteredTrial(path, CHANGED)
        if proven:
            return _stored_in(content, path, proven=True)
        if not content.startswith(HDF5):
            raise TornTrial(path, "is not a readable trial file: it is not an HDF5 file")
        try:
            return self._unproven(content, path, seconds=self.seconds + len(content) / 1e6)
        except Endless:
            why = "it hangs the HDF5 library"
        except Crashed:
            why = "it crashes the HDF5 library"
        except OSError as error:
            raise _unreadable(path, error) from error
        raise TornTrial(path, f"is not a readable trial file: {why}")

    def read_named(self, path: Path) -> Stored:
        """Return the content of a trial file that is named after its trial.

        Raises:
            UnusableTrial: See :func:`read_trial`; or its name is not that of its trial.
        """
        stored = self.read(path)
        if stored.record.id != path.stem:
            raise MisnamedTrial(
                path,
                f"contains trial {stored.record.id}, not the one in its name, and is ignored; "
                f"rename it to {stored.record.id}.h5, unless that file exists",
            )
        return stored

    def read_state(self, path: Path) -> TrialState:
        """Return the state of a trial file that is named after its trial.

        Where the bytes are proven, what the file says of its status is enough; nothing else of it
        is read.

        Raises:
            UnusableTrial: See :meth:`read_named`.
        """
        content = _content_of(path)
        if seal_holds(content):
            with suppress(Exception), h5py.File(io.BytesIO(content), "r") as file:
                attributes = file.attrs
                told = attributes["id"] == path.stem and attributes["schema"] <= SCHEMA
                if told and (attributes["status"] == "failed" or "predictions/test" in file):
                    return TrialState(attributes["status"])
        return TrialState(self.read_named(path).record.status)


def unproven_trial(content: bytes, path: Path) -> Stored:
    """Return the trial in bytes that nothing is known of; called in a process of its own.

    Raises:
        UnusableTrial: See :func:`read_trial`.
    """
    return _stored_in(content, path, proven=False)


def _stored_in(content: bytes, path: Path, *, proven: bool) -> Stored:
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _check_schema(file, path, proven=proven)
            found = Content(file)
            seal = _seal(found, path)
            record = read_record(found)
    except UnusableTrial:
        raise
    except MemoryError as error:
        raise _unreadable(path, error) from error
    except ReachesOutside as error:
        raise ForeignFile(path, f"is not a trial file written by mritk: {error}") from error
    except Exception as error:  # damage can surface as nearly any exception of h5py
        reason = one_line(error)
        raise TornTrial(path, f"is not a readable trial file: {reason}") from error
    if not TRIAL_ID.fullmatch(record.id):
        raise TornTrial(path, f"is not a readable trial file: {record.id!r} is not a trial id")
    if record.status not in (TrialState.FINISHED, TrialState.FAILED):
        raise TornTrial(path, f"is not a readable trial file: its status is {record.status!r}")
    scored = "test" in record.predictions or not record.task.has_scores
    if record.status == TrialState.FINISHED and not scored:
        raise TornTrial(path, "is not a readable trial file: it has no test predictions")
    return Stored(path, record, seal)


def _content_of(path: Path) -> bytes:
    """Return the bytes of a trial file.

    HDF5 itself never opens the file: it would want a lock on it, which another program may hold
    and a network drive may refuse.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise ForeignFile(path, "is not a readable trial file: it is not a file")
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | MemoryError) -> UnreadableTrial:
    why = getattr(error, "strerror", None) or str(error) or "not enough memory"
    return UnreadableTrial(
        path, f"is currently inaccessible: {why}; the trial may be intact, so it is left unchanged"
    )


def _check_schema(file: h5py.File, path: Path, *, proven: bool) -> None:
    if "schema" not in file.attrs:
        raise ForeignFile(path, "is not a readable trial file: an HDF5 file, but not of a trial")
    if (schema := int(file.attrs["schema"])) > SCHEMA:
        raise NewerTrial(path, f"has schema {schema}; this mritk reads up to {SCHEMA}")
    if not proven and schema >= PROVEN_SINCE:
        raise AlteredTrial(path, CHANGED)


def _seal(file: Content, path: Path) -> str:
    """Return the digest that the content has and states; ``""`` where the schema knows none."""
    computed, stated = file.digest(), str(file.attrs.get(SEAL, ""))
    if stated != computed and (stated or file.attrs["schema"] >= SEALED_SINCE):
        raise AlteredTrial(path, CHANGED)
    return stated
