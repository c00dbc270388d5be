"""The trials of two results folders that options choose, for what compares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mritk.cli.analysis_options import asked_for, chosen
from mritk.cli.tell import say

if TYPE_CHECKING:
    from mritk.store.trial_file import TrialRecord
    from mritk.store.trial_state import UnusableTrial

    Trials = Iterable[TrialRecord | UnusableTrial]


def paired_folders(base: Path, head: Path, options: Mapping[str, Any]) -> tuple[Trials, Trials]:
    """Return the trials of both folders that ``trials_options`` choose, and all unusable files.

    Whichever folder gives their data and protocol the name that is asked for: they are paired by
    content. If neither has any that is asked for, this is said.
    """
    from mritk.store.folder import ResultsFolder
    from mritk.store.trial_state import UnusableTrial

    old, new = (ResultsFolder(path).trials() for path in (base, head))
    if not (options["datasets"] or options["protocols"]):
        return old, new
    wanted, every = chosen(options), (ResultsFolder(path).trials() for path in (base, head))
    contents = {
        _content(trial)
        for trial in chain.from_iterable(every)
        if not isinstance(trial, UnusableTrial) and wanted(trial)
    }
    if not contents:
        say(f"mritk: no {asked_for(options)} in {base} or {head}")

    def kept(trials: Trials) -> Trials:
        return (t for t in trials if isinstance(t, UnusableTrial) or _content(t) in contents)

    return kept(old), kept(new)


def _content(trial: TrialRecord) -> tuple[str, str]:
    """Return what tells data and protocol from others, whatever they are called."""
    return trial.dataset_fingerprint, trial.fingerprint
