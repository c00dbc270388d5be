"""The epochs of a trial while it is trained, in a file that others can follow.

    CLAIMS/TRIAL.epochs    one epoch per line, in JSON

It lies beside the lock of the trial and is gone when the trial is stored, which has the epochs too.
Nothing depends on it: a diary that cannot be written or read is silent.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from mritk.execute.claim import CLAIMS
from mritk.method import Epoch
from mritk.store.folder import ResultsFolder


def diary_path(results: ResultsFolder, trial_id: str) -> Path:
    """Return where the epochs of a trial that is being trained are."""
    return results.path / CLAIMS / f"{trial_id}.epochs"


class Diary:
    """Written by the process that trains a trial, which holds its claim."""

    def __init__(self, results: ResultsFolder, trial_id: str) -> None:
        self._path = diary_path(results, trial_id)

    def __enter__(self) -> Diary:
        """Begin: an empty file says that training has started."""
        with suppress(OSError):
            self._path.write_bytes(b"")
        return self

    def note(self, epoch: Epoch) -> None:
        """Add an epoch."""
        with suppress(OSError), self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(epoch)) + "\n")

    def __exit__(self, *_: object) -> None:
        """End it."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


class Reader:
    """Reads the diaries of trials that other processes train."""

    def __init__(self, results: ResultsFolder) -> None:
        self._results = results
        self._read: dict[str, int] = {}

    def news(self, trial_id: str) -> list[Epoch] | None:
        """Return the epochs since the last call; None if the training has not started."""
        try:
            with diary_path(self._results, trial_id).open("rb") as stream:
                stream.seek(self._read.get(trial_id, 0))
                text = stream.read()
        except OSError:
            return None
        whole = text[: text.rfind(b"\n") + 1]  # the last line may be half-written
        self._read[trial_id] = self._read.get(trial_id, 0) + len(whole)
        return [epoch for line in whole.splitlines() for epoch in _epochs(line)]


def _epochs(line: bytes) -> list[Epoch]:
    try:
        return [Epoch(**json.loads(line))]
    except (ValueError, TypeError):  # of another version of mritk
        return []
