"""A training that is killed, at any moment and any number of times, ends as if it had not been."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest

from tests.train.killable_training import train

KILLS, TRAININGS = 40, 5


@pytest.fixture(scope="module")
def processes():
    """Make processes that have imported all already, and are forked before torch has threads."""
    context = multiprocessing.get_context("forkserver")
    # Before Python 3.12.4 the server does not know the path of the tests.
    context.set_forkserver_preload(["mritk.train.loop", "torch._dynamo"])
    return context


def run(processes, number: int, folder: Path, patience: float | None = None) -> float:
    """Train in a process of its own, which is killed after ``patience`` seconds."""
    process = processes.Process(target=train, args=(number, folder))
    started = time.monotonic()
    process.start()
    process.join(patience)
    if process.is_alive():
        process.kill()
        process.join()
    elif process.exitcode:
        pytest.fail(f"training {number} ended with {process.exitcode}")
    return time.monotonic() - started


@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again_ends_as_if_it_had_not_been(processes, tmp_path):
    """Random stages, optimisers, schedules, early stopping, mixing, averages; random moments."""
    rng = np.random.default_rng(2026)
    kills = number = 0
    while kills < KILLS or number < TRAININGS:
        whole, parts = tmp_path / f"whole-{number}", tmp_path / f"parts-{number}"
        whole.mkdir()
        parts.mkdir()
        seconds = run(processes, number, whole)
        while not (parts / "outcome.json").exists():
            run(processes, number, parts, patience=rng.uniform(0, 1.1 * seconds))
            kills += not (parts / "outcome.json").exists()
        expected = (whole / "outcome.json").read_text()
        assert (parts / "outcome.json").read_text() == expected, f"training {number}"
        number += 1
