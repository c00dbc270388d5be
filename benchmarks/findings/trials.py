"""The trials behind a finding, and what is evaluated of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mritk.errors import Unavailable
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.run_values import Scored
from mritk.results.analysis import repeat_of
from mritk.results.clean_support import CleanSupport
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Predictions, TrialRecord

# Which test samples: all; those with a copy in training as it was given; the others.
Part = Literal["all", "copied", "clean"]
# What is resampled as one: patients and copies together, or each image alone.
Unit = Literal["group", "image"]


@dataclass(frozen=True, eq=False)
class Trials:
    """The finished trials of a results folder, by dataset, protocol and backbone."""

    found: dict[tuple[str, str, str], list[TrialRecord]]

    @classmethod
    def read(cls, folder: Path) -> Trials:
        """Read a results folder; damaged files and failed trials are left out."""
        found: dict[tuple[str, str, str], list[TrialRecord]] = defaultdict(list)
        for record in ResultsFolder(folder).trials():
            if isinstance(record, TrialRecord) and record.status == "finished":
                found[record.dataset, record.protocol, record.backbone].append(record)
        return cls(dict(found))

    def of(self, dataset: str, protocol: str, backbone: str) -> list[TrialRecord]:
        """Return the trials of a row.

        Raises:
            Unavailable: There is none.
        """
        trials = self.found.get((dataset, protocol, backbone))
        if not trials:
            raise Unavailable(f"no finished trial of {backbone} on {dataset} under {protocol}")
        return sorted(trials, key=lambda trial: (trial.seed, trial.fold))


def scored(
    trials: Sequence[TrialRecord],
    *,
    part: Part = "all",
    unit: Unit = "group",
    label: int | None = None,
) -> list[Scored]:
    """Return the test scores of trials as evidence wants them, of one class if it is named."""
    return [_scored(trial, part, unit, label) for trial in trials]


def support(trial: TrialRecord, part: Part) -> CleanSupport:
    """Return how many samples and units of each class a part of the test samples has."""
    test = trial.predictions["test"]
    return CleanSupport.of_test(replace(test, clean=_rows(test, part)), trial.task)


def withheld(trial: TrialRecord, part: Part) -> str:
    """Say why a mean over classes is not shown of a part, as a leaderboard does; empty if it is."""
    return support(trial, part).withheld(find_metric("balanced_accuracy"), trial.task)


def _rows(test: Predictions, part: Part) -> np.ndarray:
    """Return which test samples a part has, (N,) bool."""
    if part == "all" or test.clean is None:
        return np.ones(len(test.id), dtype=bool)
    return test.clean if part == "clean" else ~test.clean


def _scored(trial: TrialRecord, part: Part, unit: Unit, label: int | None) -> Scored:
    test = trial.predictions["test"]
    rows = _rows(test, part)
    if label is not None:
        rows = rows & (test.target == label)
    names = np.asarray(test.unit if unit == "group" else test.id)[rows].tolist()
    run = (trial.seed, repeat_of(trial))
    return Scored(run, trial.fold, test.target[rows], test.score[rows], names)
