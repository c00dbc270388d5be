"""Whether a folder among data is a results folder of mritk: it is no data, whatever it holds."""

from __future__ import annotations

from pathlib import Path

TRIALS, ENDING = "trials", ".h5"
# What stands beside the trials while a run goes on, and after it.
BESIDE = frozenset({"results.h5", "trials.index", "claims"})


def is_results_folder(folder: Path) -> bool:
    """Return whether ``folder`` is where 'mritk run' stores trials, be it killed or going on.

    What cannot be listed is none: who enters it is told.
    """
    trials = folder / TRIALS
    try:
        if not trials.is_dir():
            return False
        beside = {path.name for path in folder.iterdir()} - {TRIALS}
        if beside:
            return not beside.isdisjoint(BESIDE)
        # As a run begins. A class or patient may have a folder of that name, but with scans.
        return all(path.suffix == ENDING for path in trials.iterdir())
    except OSError:
        return False
