"""Copy the trials of several results folders into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mritk.errors import StoreError, UsageError
from mritk.results.folder import TRIALS, ResultsFolder
from mritk.results.kept_model import model_path
from mritk.results.trialfile import TrialRecord, read_trial
from mritk.whole_file import write_whole


@dataclass
class Merge:
    """What became of each file.

    Attributes:
        copied: Trials that were copied, or took the place of a failed one.
        same: Trials that were there already.
        conflicts: Trials of one id with different predictions; the one that was there stays.
        damaged: Files that could not be read, and were left out.
    """

    copied: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def merge(sources: Sequence[ResultsFolder], target: ResultsFolder, *, dry_run: bool) -> Merge:
    """Copy every trial of the sources into the target; a finished one replaces a failed one.

    Raises:
        UsageError: A source does not exist, or is the target.
        StoreError: The target cannot be written.
    """
    for source in sources:
        if not source.path.is_dir():
            raise UsageError(f"no results folder {source.path}")
        if source.path.resolve() == target.path.resolve():
            raise UsageError(f"{source.path} cannot be merged into itself")
    done = Merge()
    planned: dict[str, Path] = {}
    for source in sources:
        for path in sorted((source.path / TRIALS).glob("*.h5")):
            _one(path, source, target, planned, done, dry_run=dry_run)
    if done.copied and not dry_run:
        target.rebuild_view()
    return done


def _one(
    path: Path,
    source: ResultsFolder,
    target: ResultsFolder,
    planned: dict[str, Path],
    done: Merge,
    *,
    dry_run: bool,
) -> None:
    try:
        record = read_trial(path)
    except StoreError as error:
        done.damaged.append(str(error))
        return
    there = planned.get(record.id, target.trial_path(record.id))
    if there.exists():
        try:
            stored = read_trial(there)
        except StoreError as error:
            done.damaged.append(f"{error}; it stays as it is")
            return
        if stored.status == "finished" or record.status != "finished":
            told = done.same if _agree(stored, record) else done.conflicts
            told.append(f"{record.id} ({path})")
            return
    done.copied.append(record.id)
    planned[record.id] = path
    if not dry_run:
        write_whole(target.trial_path(record.id), path.read_bytes())
        model = model_path(source, record.id)
        if model.is_file():
            write_whole(model_path(target, record.id), model.read_bytes())


def _agree(stored: TrialRecord, record: TrialRecord) -> bool:
    """Whether two files of one trial hold the same predictions; failed attempts always do."""
    if "finished" not in (stored.status, record.status):
        return True
    if stored.status != record.status:
        return True  # a failed attempt adds nothing to a finished one
    pairs = [(p.predictions["test"].id, p.predictions["test"].score) for p in (stored, record)]
    return pairs[0][0] == pairs[1][0] and bool(np.array_equal(pairs[0][1], pairs[1][1]))
