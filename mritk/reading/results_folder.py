"""Whether a folder among data is a results folder of mritk: it is no data, whatever it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mritk.files.results_names import CLAIMS, ENDING, INDEX, SUBFOLDER, TRIALS, VIEW
from mritk.reading.litter import is_litter

# What stands beside the trials while a run goes on, and after it; nothing does as it begins.
BESIDE = frozenset({VIEW, INDEX, CLAIMS})
# Files among the trials, of which there may be many.
LOOKED_AT = 100


def is_results_folder(folder: Path) -> bool:
    """Return whether ``folder`` is where 'mritk run' stores trials, be it killed or going on.

    A class or patient may have folders of these names, but with scans. What cannot be listed is
    none: who enters it is told.
    """
    trials = folder / TRIALS
    try:
        if not trials.is_dir():
            return False
        beside = {path.name for path in folder.iterdir()} - {TRIALS}
        if beside and beside.isdisjoint(BESIDE):
            return False
        return all(name.endswith(ENDING) for name in islice(_names_in(trials), LOOKED_AT))
    except OSError:
        return False


def _names_in(trials: str | Path, *, inner: bool = False) -> Iterator[str]:
    """Yield the names of files where trials are stored; those of drafts begin with a dot."""
    with os.scandir(trials) as found:
        for entry in found:
            if entry.name.startswith(".") or is_litter(entry.name):
                continue
            if not inner and SUBFOLDER.fullmatch(entry.name) and entry.is_dir():
                yield from _names_in(entry.path, inner=True)
            else:
                yield entry.name
