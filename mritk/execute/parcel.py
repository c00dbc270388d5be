"""Trials that are trained where the results folder of the run is not.

The worker stores a trial in a folder of its own, where its checkpoints stay as well, and hands the
finished files to the run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mritk.errors import StoreError, one_line
from mritk.files.atomic import write_whole
from mritk.files.workspace import Workspace
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import model_path, set_model_aside
from mritk.store.raw_seal import seal_holds
from mritk.store.trial_state import TrialState

APART = "apart"


@dataclass(frozen=True)
class Parcel:
    """The files of a trial, finished or failed.

    Attributes:
        trial: The trial file.
        model: Its kept network; empty if none is kept.
    """

    trial: bytes
    model: bytes = b""


def own_results(workspace: Workspace, run: Path) -> ResultsFolder:
    """Return the folder in which a worker stores trials of the run whose results folder is ``run``,
    created if necessary."""
    name = hashlib.sha256(str(run).encode()).hexdigest()[:16]
    results = ResultsFolder(workspace.folder(APART, name))
    results.require_writable()
    return results


def packed(results: ResultsFolder, trial_id: str) -> Parcel | None:
    """Return the files of a trial, which are deleted; None if it was not stored."""
    files = results.trial_path(trial_id), model_path(results, trial_id)
    try:
        trial = files[0].read_bytes()
    except FileNotFoundError:
        return None
    model = files[1].read_bytes() if files[1].exists() else b""
    for path in files:  # their folder stays: another worker may be about to store there
        path.unlink(missing_ok=True)
    return Parcel(trial, model)


def receive(parcel: Parcel, results: ResultsFolder, trial_id: str, *, failed: bool) -> str:
    """Store the files of a trial; one that failed replaces no finished one.

    Returns:
        Why its network could not be stored, with which the trial is not lost; else empty.

    Raises:
        StoreError: The trial file was damaged on its way, or cannot be written.
    """
    if not seal_holds(parcel.trial):
        raise StoreError(f"the file of trial {trial_id} was damaged on its way from the worker")
    if failed and results.status(trial_id) is TrialState.FINISHED:
        return ""
    without_model = ""
    if parcel.model:
        try:
            write_whole(model_path(results, trial_id), parcel.model, parents=1)
        except StoreError as error:
            without_model = one_line(error)
    results.write_content(trial_id, parcel.trial)
    if without_model or not parcel.model:
        set_model_aside(results, trial_id)
    return without_model
