"""Whole processes as cases: Python programs, and ``mritk run``, from start to end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mritk.external.watcher import PR_SET_CHILD_SUBREAPER, tell_kernel
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialRecord

ROOT = Path(__file__).parents[2]


class ProcessFailed(SystemExit):
    """A process that was to be timed did not end well; the command ends with its last words."""


def run_python(arguments: Sequence[object], changes: Mapping[str, object] | None = None) -> str:
    """Run ``python ARGUMENTS…`` in the repository's root and return what it printed.

    Args:
        arguments: As on the command line.
        changes: Variables that are added to the environment.

    Raises:
        ProcessFailed: It ended with another code than 0; the message ends with what it said last.
    """
    environment = os.environ | {name: str(value) for name, value in (changes or {}).items()}
    command = [sys.executable, *map(str, arguments)]
    with _adopting_orphans():
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    if ended.returncode:
        last = "\n".join(ended.stderr.splitlines()[-20:])
        raise ProcessFailed(f"{' '.join(command)} ended with {ended.returncode}:\n{last}")
    return ended.stdout


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """On Linux, wait for processes whose parent does not, so that their time counts.

    A run ends without waiting for the fork server of its workers, which ends with it. What lives on
    for half a second is left alone.
    """
    tell_kernel(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
        deadline = time.monotonic() + 0.5
        with suppress(ChildProcessError):  # there is none (left)
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.005)
    finally:
        tell_kernel(PR_SET_CHILD_SUBREAPER, 0)


def run_for_facts(arguments: Sequence[object]) -> dict[str, Any]:
    """Run a Python program and return the JSON object on the last line that it prints.

    Raises:
        ProcessFailed: See :func:`run_python`.
    """
    facts: dict[str, Any] = json.loads(run_python(arguments).splitlines()[-1])
    return facts


def run_mritk(home: Path, results: Path, *arguments: object) -> None:
    """Run ``mritk run`` with its caches under ``home``.

    Raises:
        ProcessFailed: A trial failed, or anything else.
    """
    command = ["-m", "mritk", "run", "--results", results, *arguments]
    run_python(command, {"MRITK_HOME": home})


def train_on_pictures(
    folder: Path, backbones: Sequence[str], protocol: object, seeds: int, device: str, *more: object
) -> list[TrialRecord]:
    """Run ``mritk run`` on the pictures in a folder, without results so far; return its trials.

    Caches are in its folder ``home``.

    Raises:
        ProcessFailed: A trial failed, or anything else.
    """
    results = folder / "results"
    shutil.rmtree(results, ignore_errors=True)
    run_mritk(
        folder / "home",
        results,
        *(word for name in backbones for word in ("--backbone", name)),
        *("--dataset", f"folder:{folder / 'pictures'}"),
        *("--protocol", protocol, "--seeds", seeds, "--device", device, *more),
    )
    return trials_in(results)


def trials_in(results: Path) -> list[TrialRecord]:
    """Return the trials of a results folder.

    Raises:
        StoreError: A file is damaged.
    """
    found = []
    for trial in ResultsFolder(results).trials():
        if not isinstance(trial, TrialRecord):
            raise trial
        found.append(trial)
    return found


def trial_seconds(trials: Sequence[TrialRecord]) -> float:
    """Return the seconds in which trials were trained and scored."""
    return sum(trial.cost["seconds_fit"] + trial.cost["seconds_predict"] for trial in trials)
