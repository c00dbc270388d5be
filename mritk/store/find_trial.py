"""Find a stored trial by the path of its file, its id, or the beginning of its id."""

from __future__ import annotations

from pathlib import Path

from mritk.errors import UnknownName
from mritk.files.regular_file import is_regular_file
from mritk.files.user_path import as_typed
from mritk.store.folder import ResultsFolder
from mritk.store.places import trial_paths, trial_place
from mritk.store.trial_file import TRIAL_ID, TrialRecord, read_trial


def find_trial(name: str, folder: Path) -> TrialRecord:
    """Return the trial that ``name`` means.

    Raises:
        UnknownName: There is none, or the name begins the ids of several.
        StoreError: Its file is damaged, or cannot be read.
    """
    return read_trial(trial_file(name, folder))


def trial_or_none(name: str, folder: Path) -> TrialRecord | None:
    """Return the trial that ``name`` means; None if there is none.

    Raises:
        UnknownName: The name begins the ids of several trials, or is the path of no file.
        StoreError: Its file is damaged, or cannot be read.
    """
    path = _path(name, folder)
    return None if path is None else read_trial(path)


def trial_file(name: str, folder: Path) -> Path:
    """Return the file of the trial that ``name`` means, readable or not.

    Raises:
        UnknownName: There is none, or the name begins the ids of several.
        UsageError: There is no such folder.
        StoreError: It is the path of a file in a folder that cannot be entered.
    """
    path = _path(name, folder)
    if path is None:
        ResultsFolder(folder).require_there()
        raise UnknownName(
            f"no trial {name!r} in {folder}; use --results for another folder; to list trials: "
            f"mritk leaderboard {as_typed(folder)} --json"
        )
    return path


def _path(name: str, folder: Path) -> Path | None:
    if name.endswith(".h5"):
        path = Path(name)
        if not is_regular_file(path):
            raise UnknownName(f"no trial file {path}")
        return path
    if not TRIAL_ID.fullmatch(name):
        return None
    exact = trial_place(folder, name)
    if exact.exists():
        return exact
    found = [Path(path) for id_, path in trial_paths(folder).items() if id_.startswith(name)]
    if len(found) > 1:
        raise UnknownName(f"{name!r} matches {len(found)} trials in {folder}; use a longer prefix")
    return next(iter(found), None)
