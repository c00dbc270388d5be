"""Which runs of a row are whole: a run is one seed with all folds of one division of the data.

A seed that lacks folds was tested on fewer patients than the others; its mean is not one of the
same thing. So a mean over runs, and whatever is tested of it, is over whole runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mritk.results.analysis import run_of
from mritk.results.table_trial import TableTrial


@dataclass(frozen=True)
class WholeRuns:
    """The trials of a row that are evaluated.

    Attributes:
        trials: Its finished trials, of whole runs; where no run is whole, of those that come
            closest and have the same folds.
        left_out: What was left out, one sentence for each run.
    """

    trials: list[TableTrial]
    left_out: list[str]


def whole_runs(row: Sequence[TableTrial], table: Sequence[TableTrial]) -> WholeRuns:
    """Return the whole runs among the trials of a row.

    Args:
        row: All trials of the row.
        table: All trials of its table; together they tell which folds there are.
    """
    folds: dict[int, set[int]] = defaultdict(set)
    for facts in (trial.facts for trial in table):
        folds[run_of(facts)[1]].add(facts.fold)
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
    return WholeRuns([t for run, some in runs.items() if run in kept for t in some], left_out)
