"""What a trial costs on a worker of an executor, beside the same trial in one process.

    python -m benchmarks.speed.executors [--executor NAME] [--trials N] [--repeats N]

Processor time, which other programs on the machine hardly change: of one process the time from the
start of a trial to its end, of a worker all that it does from job to result. Start is apart: the
first trial of each, which imports what the others find.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.speed.command_line import positive
from benchmarks.speed.fresh_process import run_mritk

GOAL = 1.15
STUDY = ("-b", "small_cnn", "--device", "cpu")
# In the run that a one-file plugin belongs to, it notes what trials cost.
HERE = """
import time
from benchmarks.speed.executors import note
from mritk import hookimpl

began = 0.0


@hookimpl(tryfirst=True)
def mritk_trial_start(trial):
    global began
    began = time.process_time()


@hookimpl(trylast=True)
def mritk_trial_finish(trial):
    note({told!r}, time.process_time() - began)
"""
THERE = """
from functools import partial
from benchmarks.speed.executors import timed
from mritk import Executor, hookimpl
from mritk.plugins.registry import Registry


def run(function, jobs, at_once):
    executor = Registry.load(environ={{}}).executor({executor!r})
    yield from executor.run(partial(timed, {told!r}, function), jobs, at_once)


@hookimpl
def mritk_executors():
    yield Executor("timed", run)
"""


def note(told: str, seconds: float) -> None:
    """Add a number to a file."""
    with Path(told).open("a", encoding="utf-8") as stream:
        stream.write(f"{seconds}\n")


def timed(told: str, function: Callable[[Any], Any], job: Any) -> Any:
    """Do a job, and note the processor time that it took."""
    began = time.process_time()
    done = function(job)
    note(told, time.process_time() - began)
    return done


def costs(home: Path, folder: Path, plugin: str, trials: int, executor: str = "") -> list[float]:
    """Return the processor seconds of each trial of a run, in order."""
    told = folder / "told"
    (folder / "clock.py").write_text(plugin.format(told=str(told), executor=executor))
    chosen = ("--executor", "timed") if executor else ()
    arguments = (*STUDY, "-p", folder / "clock.py", "--seeds", trials, "--jobs", 1, *chosen)
    run_mritk(home, folder / "results", *arguments)
    return [float(line) for line in told.read_text().split()]


def main() -> None:
    """Measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--executor", default="ray")
    parser.add_argument("--trials", type=positive, default=10)
    parser.add_argument("--repeats", type=positive, default=1)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, ("", *sys.path)))
    ratios = []
    for _ in range(chosen.repeats):
        with tempfile.TemporaryDirectory() as folder:
            home, one, other = (Path(folder, name) for name in ("home", "here", "there"))
            one.mkdir()
            other.mkdir()
            here = costs(home, one, HERE, chosen.trials)
            there = costs(home, other, THERE, chosen.trials, chosen.executor)
        ratios.append(mean(there[1:]) / mean(here[1:]))
        print(f"one process  {here[0]:.2f} s, then {mean(here[1:]):.2f} s a trial")
        print(f"{chosen.executor:12} {there[0]:.2f} s, then {mean(there[1:]):.2f} s a trial")
    print(f"ratio {median(ratios):.3f}, goal {GOAL}")


if __name__ == "__main__":
    main()
