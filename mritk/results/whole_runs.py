"""Which runs of a row are whole: a run is one seed with all folds of one division of the data.

A seed that lacks folds was tested on fewer patients than the others; its mean is not one of the
same thing. So a mean over runs, and whatever is tested of it, is over whole runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mritk.results.analysis import run_of
from mritk.results.table_trial import TableTrial


@dataclass(frozen=True)
class WholeRuns:
    """The trials of a row that are evaluated.

    Attributes:
        trials: Its finished trials, of whole runs; where no run is whole, of those that come
            closest and have the same folds. All seeds have the same repeats.
        left_out: What was left out, one sentence for each run.
    """

    trials: list[TableTrial]
    left_out: list[str]


def folds_of(table: Iterable[TableTrial]) -> dict[int, set[int]]:
    """Return the folds that the trials of a table have, by the number of the division."""
    folds: dict[int, set[int]] = defaultdict(set)
    for facts in (trial.facts for trial in table):
        folds[run_of(facts)[1]].add(facts.fold)
    return folds


def whole_runs(row: Sequence[TableTrial], folds: Mapping[int, set[int]]) -> WholeRuns:
    """Return the whole runs among all trials of a row, given the folds that its table has."""
    runs: dict[tuple[int, int], list[TableTrial]] = defaultdict(list)
    for trial in row:
        if trial.facts.finished:
            runs[run_of(trial.facts)].append(trial)
    lacking = {
        run: folds[run[1]] - {trial.facts.fold for trial in trials} for run, trials in runs.items()
    }
    # The fewest that any run lacks: none, where a run is whole.
    least = min(
        lacking.values(), key=lambda missing: (len(missing), sorted(missing)), default=set()
    )
    kept = {run for run, missing in lacking.items() if not missing or missing == least}
    left_out = [
        f"seed {run[0]} lacks fold{'s' if len(lacking[run]) > 1 else ''} "
        f"{', '.join(str(fold) for fold in sorted(lacking[run]))}, and is excluded; 'mritk run' "
        "trains the rest."
        for run in sorted(runs)
        if run not in kept
    ]
    fewer = _of_fewer_divisions(kept)
    left_out += [
        f"seed {seed} lacks repeats that other seeds have, and is excluded; 'mritk run' trains the "
        "rest."
        for seed in sorted(fewer)
    ]
    whole = [run for run in runs if run in kept and run[0] not in fewer]
    return WholeRuns([trial for run in whole for trial in runs[run]], left_out)


def _of_fewer_divisions(runs: Iterable[tuple[int, int]]) -> set[int]:
    """Return the seeds that do not have the divisions which the fullest have.

    Means over seeds of a division, and then over divisions, are of all runs alike only if every
    seed has every division.
    """
    divisions: dict[int, set[int]] = defaultdict(set)
    for seed, division in runs:
        divisions[seed].add(division)
    fullest = min(divisions.values(), key=lambda of: (-len(of), sorted(of)), default=set())
    return {seed for seed, of in divisions.items() if of != fullest}
