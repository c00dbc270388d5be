"""How the table at the end of a run is evaluated: nobody waits long for it."""

from __future__ import annotations

from collections.abc import Collection

from mritk.results.analysis import Analysis
from mritk.results.table_trial import TableTrial

# Beyond these a table takes long: intervals take resamples of all trials, ties all pairs of rows.
MOST_TRIALS, MOST_ROWS = 5000, 100


def quick_analysis(trials: Collection[TableTrial]) -> Analysis:
    """Return the usual analysis of these trials, without intervals where they would take long."""
    facts = (trial.facts for trial in trials)
    rows = {(one.dataset, one.backbone, one.augmentation, one.fingerprint) for one in facts}
    few = len(trials) <= MOST_TRIALS and len(rows) <= MOST_ROWS
    return Analysis() if few else Analysis(interval="none")
