"""The epochs of a trial while it is trained, in a file that others can follow.

    CLAIMS/TRIAL.epochs    in JSON: a line on who trains it, then one for each epoch

It lies beside the lock of the trial and is gone when the trial is stored, which has the epochs too.
Nothing depends on it: a diary that cannot be written or read is silent.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from mritk.execute.claim import claimed
from mritk.files.results_names import CLAIMS
from mritk.method import Epoch
from mritk.store.claims import is_claimed
from mritk.store.folder import ResultsFolder


def diary_path(results: ResultsFolder, trial_id: str) -> Path:
    """Return where the epochs of a trial that is being trained are."""
    return results.path / CLAIMS / f"{trial_id}.epochs"


R = TypeVar("R")
# What a killed process leaves of a trial among the claims.
NOTES = (".epochs", ".over")
LEFT = (".lock", *NOTES)


@dataclass(frozen=True)
class Training:
    """Who trains a trial.

    Attributes:
        host: Name of the machine.
        process: Number of the process.
        began: When, in seconds since 1970.
        run: The run for which a worker trains it; empty where a run trains it itself.
    """

    host: str
    process: int
    began: float
    run: str = ""


class Diary:
    """Written by the process that trains a trial, which holds its claim."""

    def __init__(self, results: ResultsFolder, trial_id: str, run: str = "") -> None:
        self._path, self._run = diary_path(results, trial_id), run

    def __enter__(self) -> Diary:
        """Begin, with what tells where it is trained."""
        begun = Training(socket.gethostname(), os.getpid(), time.time(), self._run)
        with suppress(OSError):
            self._path.write_text(json.dumps(asdict(begun)) + "\n", encoding="utf-8")
        return self

    def note(self, epoch: Epoch) -> None:
        """Add an epoch."""
        with suppress(OSError, TypeError, ValueError):
            line = json.dumps(asdict(epoch)) + "\n"
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(line)

    def __exit__(self, *_: object) -> None:
        """End it."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


class Reader:
    """Reads the diaries of trials that other processes train."""

    def __init__(self, results: ResultsFolder) -> None:
        self._results = results
        self._read: dict[str, tuple[bytes, int]] = {}  # first line, and how far it was read

    def begun(self, run: str) -> list[str]:
        """Return the ids of trials that workers of a run train."""
        return [
            path.stem
            for path in (self._results.path / CLAIMS).glob("*.epochs")
            if any(training.run == run for training in _head(path))
        ]

    def news(self, trial_id: str) -> list[Epoch] | None:
        """Return the epochs since the last call; None if the training has not started."""
        try:
            text = diary_path(self._results, trial_id).read_bytes()
        except OSError:
            return None
        whole = text[: text.rfind(b"\n") + 1]  # the last line may be half-written
        begun = whole.partition(b"\n")[0]
        known, read = self._read.get(trial_id, (begun, 0))
        self._read[trial_id] = begun, len(whole)
        news = whole[read if known == begun else 0 :]  # another worker begins again
        return [epoch for line in news.splitlines() for epoch in _read(line, Epoch)]


def trainings(results: ResultsFolder) -> dict[str, tuple[Training, Epoch | None, float]]:
    """Return the trials that are being trained: where, the last epoch of each, and when it ended.

    What a killed process has left is none of them, where the file system has locks.
    """
    found = {}
    for path in sorted((results.path / CLAIMS).glob("*.epochs")):
        try:
            first, *others = path.read_bytes().splitlines()
            told = path.stat().st_mtime
        except (OSError, ValueError):
            continue
        begun = _read(first, Training)
        if begun and is_claimed(results, path.stem):
            epochs = [epoch for line in others[-2:] for epoch in _read(line, Epoch)]
            found[path.stem] = begun[0], (epochs[-1] if epochs else None), told
    return found


def forget_killed(results: ResultsFolder) -> None:
    """Remove the diaries, locks and notes that killed processes have left."""
    left = {path.stem for path in (results.path / CLAIMS).glob("*.*") if path.suffix in LEFT}
    for trial_id in left:
        with claimed(results, trial_id, wait=False) as mine:  # removes the lock
            if mine:
                for suffix in NOTES:
                    diary_path(results, trial_id).with_suffix(suffix).unlink(missing_ok=True)


def _head(path: Path) -> list[Training]:
    """Return what a diary begins with; nothing if it is gone or is being begun."""
    try:
        with path.open("rb") as stream:
            return _read(stream.readline(), Training)
    except OSError:
        return []


def _read(line: bytes, kind: type[R]) -> list[R]:
    """Return what a line holds; nothing if that is something else, or of another version."""
    try:
        return [kind(**json.loads(line))]
    except (ValueError, TypeError):
        return []
