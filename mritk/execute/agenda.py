"""What runs into a results folder are to do, told to whoever looks at it meanwhile.

    CLAIMS/HOST-PID.run    the trials of a run and their descriptions, in JSON

The file of a run that ended, or was interrupted by a person, is gone; that of a killed one stays
until its trials are finished. Nothing depends on it: one that cannot be written is silent.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mritk.execute.diary import forget_killed
from mritk.files.draft import is_alive
from mritk.store.claims import CLAIMS
from mritk.store.folder import ResultsFolder
from mritk.trial import Trial

SUFFIX = ".run"


@contextmanager
def announced(results: ResultsFolder, todo: Sequence[Trial]) -> Iterator[None]:
    """Tell for the time of the block that these trials are to be trained."""
    path = results.path / CLAIMS / f"{socket.gethostname()}-{os.getpid()}{SUFFIX}"
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        trials = {trial.id: str(trial) for trial in todo}
        path.write_text(json.dumps({"trials": trials}), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            _forget_done(results)
            forget_killed(results)
            path.parent.rmdir()


def _forget_done(results: ResultsFolder) -> None:
    """Remove what killed runs have left, once their trials are stored."""
    for path in (results.path / CLAIMS).glob(f"*{SUFFIX}"):
        trials = _read(path)
        if trials and all(results.trial_path(trial).exists() for trial in trials):
            path.unlink(missing_ok=True)


def agenda(results: ResultsFolder) -> dict[str, str]:
    """Return the descriptions of the trials of all runs, by id."""
    trials: dict[str, str] = {}
    for path in sorted((results.path / CLAIMS).glob(f"*{SUFFIX}")):
        trials |= _read(path)
    return trials


def going(results: ResultsFolder) -> dict[str, str]:
    """Return what :func:`agenda` does, without runs of this machine that were killed.

    Of another machine's nothing is known: it counts as going on.
    """
    trials: dict[str, str] = {}
    for path in sorted((results.path / CLAIMS).glob(f"*{SUFFIX}")):
        host, _, process = path.stem.rpartition("-")
        if host != socket.gethostname() or not process.isdecimal() or is_alive(int(process)):
            trials |= _read(path)
    return trials


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["trials"]
        return {str(trial): str(text) for trial, text in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # being written
        return {}
