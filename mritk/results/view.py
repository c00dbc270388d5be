"""``results.h5``: links to all trial files, and on request all their scores as one tidy table.

It holds nothing of its own; losing it loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mritk.results.digest import SEAL
from mritk.results.folder import TRIALS, VIEW, ResultsFolder
from mritk.results.trialfile import TEXT, write_hdf5

SCORES = "scores"
COLUMNS = (
    "trial",
    "digest",
    "dataset",
    "protocol",
    "fingerprint",
    "backbone",
    "augmentation",
    "fold",
    "seed",
    "part",
    "metric",
    "value",
    "reason",
)


def write_view(folder: ResultsFolder, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``results.h5`` anew, with a table of scores: one dataset per column of ``COLUMNS``.

    Raises:
        StoreError: It cannot be written.
    """

    def fill(view: h5py.File) -> None:
        link_trials(folder, view)
        group = view.create_group(SCORES)
        for name in COLUMNS:
            values = [row[name] for row in rows]
            dtype = {"fold": np.int64, "seed": np.int64, "value": np.float64}.get(name, TEXT)
            group.create_dataset(name, data=values, dtype=dtype)

    write_hdf5(folder.path / VIEW, fill)


def link_trials(folder: ResultsFolder, view: h5py.File) -> None:
    """Put one external link per trial file into the view."""
    group = view.create_group(TRIALS)
    for path in sorted((folder.path / TRIALS).glob("*.h5")):
        group[path.stem] = h5py.ExternalLink(f"{TRIALS}/{path.name}", "/")


def stale_view(folder: ResultsFolder) -> str:
    """Return why ``results.h5`` is not that of the trial files, or nothing."""
    path = folder.path / VIEW
    stored = {path.stem for path in (folder.path / TRIALS).glob("*.h5")}
    if not path.exists():
        return f"there is no {VIEW}" if stored else ""
    try:
        with h5py.File(path, "r") as view:
            linked = set(view[TRIALS])
    except Exception:  # damage can surface as nearly any exception of h5py
        return f"{VIEW} is damaged"
    if linked == stored:
        return ""
    return f"{VIEW} lists {len(linked)} trials, and there are {len(stored)}"


def stale_scores(folder: ResultsFolder) -> str:
    """Return why the table of scores is not that of the trial files, or nothing."""
    with h5py.File(folder.path / VIEW, "r") as view:
        if SCORES not in view:
            return ""
        trials, digests = (view[SCORES][name].asstr()[()] for name in ("trial", "digest"))
    for trial, digest in dict(zip(trials.tolist(), digests.tolist(), strict=True)).items():
        if seal_of(folder.trial_path(trial)) != digest:
            return f"scores of trial {trial[:8]} were computed from another file"
    return ""


def seal_of(path: Path) -> str:
    """Return the digest that a trial file states; empty where there is none."""
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get(SEAL, ""))
    except OSError:
        return ""
