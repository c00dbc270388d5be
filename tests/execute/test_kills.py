"""Random kills of workers and of the run itself lose nothing, and repeat nothing that is finished.

``MRITK_KILLS`` sets their number: 3 in the usual tests, without Ray; 200 before a release.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from mritk.cli.main import main
from mritk.execute.diary import trainings
from mritk.store.folder import ResultsFolder
from tests.trial_essence import essence

KILLS = int(os.environ.get("MRITK_KILLS", "3"))
SEEDS = 4
# Of all kills, those of the run itself.
OF_RUN = 0.3

# Batches take a moment, so that most kills meet a training.
SLOW = """
import time
from mritk import Augmentation, hookimpl


def apply(images, generator):
    time.sleep(0.1)
    return images


@hookimpl
def mritk_augmentations():
    yield Augmentation("slow", apply)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]


@pytest.fixture
def command(toy, fast_protocol, tmp_path, monkeypatch):
    """The command of a run into a folder, on one thread, with a checkpoint at each step."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    (tmp_path / "slow.py").write_text(SLOW)

    def of(folder, *more):
        parts = ("run", "-p", toy, "-p", tmp_path / "slow.py", "-b", "tiny", "-d", "bands")
        parts += ("--protocol", fast_protocol, "-a", "slow", "--seeds", SEEDS, "--device", "cpu")
        parts += ("--checkpoint-minutes", "1e-9", "-o", folder, *more)
        return [sys.executable, "-m", "mritk", *map(str, parts)]

    return of


def finished(folder):
    """When each trial that is finished was written."""
    results = ResultsFolder(folder)
    paths = results.trial_files() if folder.exists() else []
    states = results.states(path.stem for path in paths)
    return {p: p.stat().st_mtime_ns for p in paths if states[p.stem].value == "finished"}


class Killer:
    """Kills a run, or one of the processes that train for it, every now and then."""

    def __init__(self, kills):
        self.left, self.runs, self.workers = kills, 0, 0
        self._random = random.Random(1)

    def let_run(self, command, folder):
        """Return the exit code of a run that may be killed."""
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            while self.left:
                time.sleep(self._random.uniform(0.1, 2.0))
                if running.poll() is not None:
                    break
                self._kill(running, folder)
            return running.wait()

    def _kill(self, running, folder):
        training = {begun.process for begun, *_ in trainings(ResultsFolder(folder)).values()}
        if not training:
            return
        of_run = self._random.random() < OF_RUN
        victim = running.pid if of_run else self._random.choice(sorted(training))
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has just ended
        self.left -= 1
        self.runs += victim == running.pid
        self.workers += victim != running.pid


def test_no_kill_loses_a_trial_or_repeats_a_finished_one(command, tmp_path):
    ways = [(), ("--executor", "processes", "--jobs", 2), ("--executor", "ray", "--jobs", 2)]
    if "MRITK_KILLS" not in os.environ:
        del ways[2]
    whole = tmp_path / "whole"
    assert main(command(whole)[3:]) == 0
    expected, killer, runs, studies = essence(whole), Killer(KILLS), 0, 0
    assert len(expected) == SEEDS
    while killer.left:
        studies += 1
        folder, done, code = tmp_path / f"killed-{studies}", {}, None
        while code != 0:
            # Each run goes on where the last one was, in one process or in several.
            runs += 1
            code = killer.let_run(command(folder, *ways[runs % len(ways)]), folder)
            now = finished(folder)
            assert done.items() <= now.items(), "a finished trial was lost, or trained again"
            done = now
        assert essence(folder) == expected
        assert not (folder / "claims").exists()
        assert not (folder / "checkpoints").exists()
        print(f"{studies} studies in {runs} runs; {killer.runs} of them killed", end="")
        print(f", and {killer.workers} workers", flush=True)
