"""What runs into a results folder are to do, told to whoever looks at it meanwhile.

    CLAIMS/HOST-PID.run    the trials of a run and their descriptions, in JSON

The file of a run that ended, or was interrupted by a person, is gone; that of a killed one stays
until its trials are finished. Nothing depends on it: one that cannot be written is silent.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mritk.execute.diary import forget_killed
from mritk.files.draft import is_alive
from mritk.files.results_names import CLAIMS
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
    for path in _runs(results):
        trials = _read(path)
        if trials and all(results.trial_path(trial).exists() for trial in trials):
            path.unlink(missing_ok=True)


def agenda(results: ResultsFolder) -> dict[str, str]:
    """Return the descriptions of the trials of all runs, by id."""
    return _trials_of(_runs(results))


def going(results: ResultsFolder) -> dict[str, str]:
    """Return what :func:`agenda` does, without runs of this machine that were killed.

    Of another machine's nothing is known: it counts as going on.
    """
    return _trials_of(filter(_may_go_on, _runs(results)))


def _runs(results: ResultsFolder) -> list[Path]:
    return sorted((results.path / CLAIMS).glob(f"*{SUFFIX}"))


def _may_go_on(run: Path) -> bool:
    host, _, process = run.stem.rpartition("-")
    return host != socket.gethostname() or not process.isdecimal() or is_alive(int(process))


def _trials_of(runs: Iterable[Path]) -> dict[str, str]:
    trials: dict[str, str] = {}
    for run in runs:
        trials |= _read(run)
    return trials


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["trials"]
        return {str(trial): str(text) for trial, text in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # being written
        return {}
