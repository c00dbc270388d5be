"""Where the claim to a trial stands, and whether somebody holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mritk.files.waiting import locked
from mritk.store.folder import ResultsFolder

CLAIMS = "claims"


def claim_path(results: ResultsFolder, trial_id: str) -> Path:
    """Return the lock that the process holds that trains a trial."""
    return results.path / CLAIMS / f"{trial_id}.lock"


def is_claimed(results: ResultsFolder, trial_id: str) -> bool:
    """Tell whether a process holds the claim to a trial; False where the system has no locks."""
    path = claim_path(results, trial_id)
    if not path.exists():
        return False
    with locked(path, "", wait=False, patience=0) as free:
        return not free


def unclaimed(results: ResultsFolder, trial_ids: Iterable[str]) -> Iterator[str]:
    """Yield those trials to which no process holds the claim."""
    locks = {path.stem for path in (results.path / CLAIMS).glob("*.lock")}
    for trial_id in trial_ids:
        if trial_id not in locks or not is_claimed(results, trial_id):
            yield trial_id
