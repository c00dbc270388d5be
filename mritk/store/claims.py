"""Where the claim to a trial stands, and whether somebody holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mritk.files.results_names import CLAIMS
from mritk.files.waiting import locked
from mritk.store.folder import ResultsFolder


def claim_path(results: ResultsFolder, trial_id: str) -> Path:
    """Return the lock that the process holds that trains a trial."""
    return results.path / CLAIMS / f"{trial_id}.lock"


@contextmanager
def held(results: ResultsFolder, trial_id: str) -> Iterator[bool]:
    """Hold the lock of a trial; yield False if another process holds it.

    Where there are no claims, or the file system has no locks, it is free. A results folder that is
    gone for a while is not created anew for the lock alone, or it could not be moved back.
    """
    path = claim_path(results, trial_id)
    if not (path.parent.is_dir() and results.is_there()):
        yield True
        return
    with locked(path, "", wait=False, patience=0) as mine:
        if mine and not results.is_there():  # it went this moment, and filelock has created it
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()
                results.path.rmdir()
        yield mine


def is_claimed(results: ResultsFolder, trial_id: str) -> bool:
    """Tell whether a process holds the claim to a trial; False where the system has no locks."""
    if not claim_path(results, trial_id).exists():
        return False
    with held(results, trial_id) as free:
        return not free


def unclaimed(results: ResultsFolder, trial_ids: Iterable[str]) -> Iterator[str]:
    """Yield those trials to which no process holds the claim."""
    locks = {path.stem for path in (results.path / CLAIMS).glob("*.lock")}
    for trial_id in trial_ids:
        if trial_id not in locks or not is_claimed(results, trial_id):
            yield trial_id
