"""Trials at once in processes give what they give one after the other."""

from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from mritk import LostJob
from mritk.store.folder import ResultsFolder
from mritk_processes.pool import _ended, run

DYING = """
import os
from mritk import Augmentation, hookimpl


def die(images, generator):
    os._exit(7)


@hookimpl
def mritk_augmentations():
    yield Augmentation("dying", die)
"""

DIARY = """
from mritk import hookimpl

PATH = {path!r}


def note(text):
    with open(PATH, "a") as stream:
        stream.write(text + "\\n")


@hookimpl
def mritk_trial_start(trial, position, total):
    note(f"start {{position}} of {{total}}")


@hookimpl
def mritk_epoch_end(epoch):
    note(f"epoch {{epoch.epoch}}")


@hookimpl
def mritk_trial_finish(outcome):
    note(f"finish {{outcome.path.exists()}}")
"""


def results(told):
    """What came out, without the moments in which nothing was ready."""
    return [done for done in told if done is not None]


def cube(number):
    return number**3


def cube_or_die(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return cube(number)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_job_is_told_to_be_lost_as_soon_as_its_worker_is_dead():
    assert results(run(cube_or_die, [1, 2, 3], 1)) == [1, LostJob(2, "was killed by SIGKILL"), 27]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (3, "ended with code 3"),
        (-9, "was killed by SIGKILL"),
        (-40, "was killed by signal 40"),
    ],
)
def test_how_a_worker_ended_is_told_whatever_ended_it(code, told):
    assert _ended(code) == told


@pytest.mark.slow
def test_results_come_as_they_are_ready():
    assert sorted(results(run(cube, [1, 2, 3], 2))) == [1, 8, 27]


@dataclass(frozen=True)
class Told:
    """The result of a job, and which process did it."""

    process: int
    leaving: bool = False


def tell(number):
    return Told(os.getpid(), leaving=number == 2)


@pytest.mark.slow
def test_a_worker_takes_the_next_job_unless_it_is_leaving():
    told = [one.process for one in results(run(tell, [1, 2, 3, 4], 1))]
    first, second, third, fourth = told
    assert first == second != third == fourth
    assert os.getpid() not in told


@pytest.fixture
def one_thread(monkeypatch):
    """The number of threads changes results by rounding."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)


@pytest.mark.slow
def test_predictions_equal_those_of_a_run_in_this_process(run_toy, tmp_path, one_thread):
    assert run_toy("--seeds", 2).code == 0
    ended = run_toy("--seeds", 2, "--jobs", 2, "-o", tmp_path / "apart")
    assert ended.code == 0, ended.err
    here = {t.id: t for t in ResultsFolder(tmp_path / "results").trials()}
    apart = {t.id: t for t in ResultsFolder(tmp_path / "apart").trials()}
    assert here.keys() == apart.keys()
    for name, trial in here.items():
        assert np.array_equal(
            trial.predictions["test"].score, apart[name].predictions["test"].score
        )
        assert apart[name].provenance["command"] == trial.provenance["command"]
    assert run_toy("--seeds", 2, "--jobs", 2, "-o", tmp_path / "apart", "-n").out.count("done") == 2


@pytest.mark.slow
def test_a_worker_that_dies_is_a_failed_trial_and_the_others_go_on(
    run_toy, mritk, tmp_path, caplog
):
    (tmp_path / "dying.py").write_text(DYING)
    ended = run_toy(
        *("-p", tmp_path / "dying.py", "-a", "dying", "-a", "none", "--seeds", 1),
        *("--executor", "processes"),
    )
    assert ended.code == 3
    assert "tiny@scratch on bands seed 0: the worker of executor processes" in ended.err
    told = re.findall(r"the worker of tiny@scratch .* in attempt (\d) of 3", caplog.text)
    assert told == ["2", "3"]
    stored = {t.augmentation: t for t in ResultsFolder(tmp_path / "results").trials()}
    assert {name: trial.status for name, trial in stored.items()} == {
        "none": "finished",
        "dying": "failed",
    }
    failure = stored["dying"].failure
    assert failure.type == "WorkerDied"
    assert "ended with code 7" in failure.message
    assert "retries the trial" in failure.message
    # The second stage augments; the head's epoch before it was kept in the checkpoint.
    assert failure.epoch == len(stored["dying"].history)
    assert "2 trials are intact" in mritk("doctor", tmp_path / "results").out


@pytest.mark.slow
def test_plugins_are_told_of_each_trial_when_it_is_done(run_toy, tmp_path):
    (tmp_path / "diary.py").write_text(DIARY.format(path=str(tmp_path / "diary.txt")))
    run_toy("-p", tmp_path / "diary.py", "--seeds", 1, "--executor", "processes")
    told = (tmp_path / "diary.txt").read_text().split("\n")
    # Workers load the plugin as well; only the run itself tells it of moments.
    assert told == ["start 1 of 1", "epoch 1", "epoch 2", "epoch 3", "finish True", ""]


WATCHED = """
import threading, time
from mritk import Executor, hookimpl

PATH = {path!r}


def run(function, jobs, at_once):
    for job in jobs:
        done = []
        thread = threading.Thread(target=lambda: done.append(function(job)))
        thread.start()
        while thread.is_alive():
            yield None
            time.sleep(0.005)
        with open(PATH, "a") as stream:
            stream.write("returned\\n")
        yield done[0]


@hookimpl
def mritk_executors():
    yield Executor("watched", run)
"""


@pytest.mark.slow
def test_epochs_are_told_while_the_trial_is_trained_and_once(run_toy, tmp_path):
    path = str(tmp_path / "diary.txt")
    (tmp_path / "diary.py").write_text(DIARY.format(path=path))
    (tmp_path / "watched.py").write_text(WATCHED.format(path=path))
    plugins = ("-p", tmp_path / "diary.py", "-p", tmp_path / "watched.py")
    assert run_toy(*plugins, "--seeds", 1, "--executor", "watched").code == 0
    told = (tmp_path / "diary.txt").read_text().split("\n")
    assert told.index("start 1 of 1") < told.index("epoch 1") < told.index("returned")
    told.remove("returned")
    assert told == ["start 1 of 1", "epoch 1", "epoch 2", "epoch 3", "finish True", ""]
    assert not (tmp_path / "results" / "claims").exists()
