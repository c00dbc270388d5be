"""``results.h5``: links to all trial files, and on request all their scores as one tidy table.

It holds nothing of its own; losing it loses nothing.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mritk.files.results_names import TRIALS, VIEW
from mritk.store.places import trial_paths
from mritk.store.raw_seal import seal_holds
from mritk.store.trial_file import TRIAL_ID, write_hdf5

TEXT = h5py.string_dtype()
SCORES = "scores"
RENEW = "'mritk doctor --fix' recreates it"
RESCORE = "'mritk rescore' recomputes them"
COLUMNS = (
    "trial",
    "digest",
    "dataset",
    "dataset_fingerprint",
    "protocol",
    "fingerprint",
    "scheme",
    "evaluation",
    "backbone",
    "augmentation",
    "fold",
    "seed",
    "part",
    "metric",
    "value",
    "reason",
)


def write_view(folder: Path, scores: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Write ``results.h5`` anew: one external link per trial file.

    Args:
        folder: The results folder.
        scores: Rows of a table of scores, which becomes a dataset for each of :data:`COLUMNS`;
            None: without such a table, which could not be that of all trials.

    Raises:
        StoreError: It cannot be written.
    """

    def fill(view: h5py.File) -> None:
        links = view.create_group(TRIALS)
        for trial_id, path in _trials_in(folder).items():
            links[trial_id] = h5py.ExternalLink(Path(path).relative_to(folder).as_posix(), "/")
        if scores is None:
            return
        group = view.create_group(SCORES)
        for name in COLUMNS:
            values = [row[name] for row in scores]
            dtype = {"fold": np.int64, "seed": np.int64, "value": np.float64}.get(name, TEXT)
            group.create_dataset(name, data=values, dtype=dtype)

    write_hdf5(folder / VIEW, fill, "work on a copy of the results folder", parents=0)


def _trials_in(folder: Path) -> dict[str, str]:
    """Return the paths of files that are named like trials; HDF5 cannot hold any name."""
    return {name: path for name, path in trial_paths(folder).items() if TRIAL_ID.fullmatch(name)}


def stale_view(folder: Path, seals: Mapping[str, str]) -> str:
    """Return in what ``results.h5`` is not that of the trial files, or nothing.

    Args:
        folder: The results folder.
        seals: By trial id, the seal of each trial that could be read.
    """
    path = folder / VIEW
    stored = _trials_in(folder).keys()
    if not stored and not path.exists():
        return ""
    try:
        linked, scored = _read(path)
    except OSError as error:  # not there, for one
        return f"{VIEW} cannot be read ({error.strerror or error}); {RENEW}"
    except (KeyError, ValueError):
        return f"{VIEW} is damaged, or was written by another version of mritk; {RENEW}"
    if linked != stored:
        lacks, gone = len(stored - linked), len(linked - stored)
        return f"{VIEW} is outdated (trials it lacks: {lacks}, listed but gone: {gone}); {RENEW}"
    return _stale_scores(scored, seals)


def _stale_scores(scored: list[tuple[str, str]] | None, seals: Mapping[str, str]) -> str:
    if scored is None:
        return f"its score table lacks columns; {RESCORE}"
    for trial, digest in scored:
        if seals.get(trial, digest) != digest:
            return f"scores of trial {trial[:8]} were computed from another file; {RESCORE}"
    return ""


def _read(path: Path) -> tuple[set[str], list[tuple[str, str]] | None]:
    """Return which trials a view links to, and which files its scores come from."""
    if not path.is_file():  # but a pipe, say, which would never come to an end
        raise FileNotFoundError(errno.ENOENT, "no such file")
    content = path.read_bytes()
    if not seal_holds(content):  # HDF5 must not see damaged bytes
        raise ValueError(path)
    with h5py.File(io.BytesIO(content), "r") as view:
        return set(view[TRIALS]), _scored(view)


def _scored(view: h5py.File) -> list[tuple[str, str]] | None:
    """Return trial and seal of each row of the table of scores; None if it has no such columns."""
    if SCORES not in view:
        return []
    try:
        trials, seals = (view[SCORES][name].asstr()[()].tolist() for name in ("trial", "digest"))
    except (KeyError, ValueError):  # an earlier mritk wrote other columns
        return None
    return list(zip(trials, seals, strict=True))
