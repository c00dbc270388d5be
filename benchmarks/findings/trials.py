"""The trials behind a finding, and what is evaluated of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mritk.errors import Unavailable
from mritk.results.analysis import repeat_of
from mritk.results.folder import ResultsFolder
from mritk.results.run_values import Scored
from mritk.results.trialfile import TrialRecord

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
    trials: Sequence[TrialRecord], *, part: Part = "all", unit: Unit = "group"
) -> list[Scored]:
    """Return the test scores of trials as evidence wants them."""
    return [_scored(trial, part, unit) for trial in trials]


def _scored(trial: TrialRecord, part: Part, unit: Unit) -> Scored:
    test = trial.predictions["test"]
    rows = np.ones(len(test.id), dtype=bool)
    if part != "all" and test.clean is not None:
        rows = test.clean if part == "clean" else ~test.clean
    names = np.asarray(test.unit if unit == "group" else test.id)[rows].tolist()
    run = (trial.seed, repeat_of(trial))
    return Scored(run, trial.fold, test.target[rows], test.score[rows], names)
