"""Trials at once in processes give what they give one after the other."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mritk import LostJob, available_cores
from mritk.store.folder import ResultsFolder
from mritk_processes.pool import run
from mritk_processes.share import shares

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


@pytest.mark.slow
def test_without_a_word_as_many_trials_run_at_once_as_the_machine_holds(
    run_toy, tmp_path, monkeypatch
):
    def in_this_process(*_):
        raise AssertionError("trained in this process")

    monkeypatch.delenv("MRITK_JOBS")
    monkeypatch.setattr("mritk.execute.at_once.trials_at_once", lambda trials, device: len(trials))
    with monkeypatch.context() as patch:
        patch.setattr("mritk.execute.serial.SerialRun.run", in_this_process)
        ended = run_toy("--seeds", 2)
    assert ended.code == 0, ended.err
    shares = {
        t.provenance["machine"]["threads"] for t in ResultsFolder(tmp_path / "results").trials()
    }
    assert shares == {max(1, available_cores() // 2)}


@pytest.mark.slow
def test_where_the_plugin_is_excluded_trials_run_one_after_the_other(run_toy, monkeypatch):
    monkeypatch.delenv("MRITK_JOBS")
    monkeypatch.setattr("mritk.execute.at_once.trials_at_once", lambda trials, device: 2)
    assert run_toy("--seeds", 2, "-p", "no:mritk_processes").code == 0


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "", "AUTO", "²"])
def test_a_number_of_jobs_that_is_none_is_refused(mritk, value):
    ended = mritk("run", "--jobs", value)
    assert ended.code == 2
    assert f"'{value}' is neither 'auto' nor a number of at least 1" in ended.err


ENVIRONMENT = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONSAFEPATH")


def environment_of(job):
    import torch

    time.sleep(1)  # so that no process does two of them
    return (*(os.environ.get(name) for name in ENVIRONMENT), torch.get_num_threads())


@pytest.mark.slow
def test_workers_share_the_cores_and_the_gpus(monkeypatch):
    """Two at once on four cores: two threads each; a GPU each, by the names that are visible."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("mritk_processes.share.available_cores", lambda: 4)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-12ab")
    seen = set(results(run(environment_of, [1, 2], None)))
    assert seen == {("2", "5", "1", 2), ("2", "GPU-12ab", "1", 2)}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,GPU-12ab"
    assert "OMP_NUM_THREADS" not in os.environ


@dataclass(frozen=True)
class Planted:
    """A job."""

    name: str
    alone: bool = False


def several(given):
    """Do one job, or several, of which one called ``deadly`` kills the worker."""
    jobs = given if isinstance(given, list) else [given]

    def told():
        for number, job in enumerate(jobs):
            if job.name == "deadly":
                os.kill(os.getpid(), signal.SIGKILL)
            yield number, (job.name, os.environ["CUDA_VISIBLE_DEVICES"], len(jobs))

    return told() if isinstance(given, list) else next(told())[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_where_each_worker_has_a_gpu_it_does_several_jobs(monkeypatch):
    """What a worker leaves that dies is lost, and nothing else."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    jobs = [Planted(name) for name in ("a", "deadly", *"cdefghijkl")]
    told = results(run(several, jobs, 2))
    killed = "was killed by SIGKILL"
    lost = [one for one in told if isinstance(one, LostJob)]
    assert lost == [LostJob(Planted("deadly"), killed), LostJob(Planted("c"), killed)]
    done = {one[0]: one[1:] for one in told if one not in lost}
    assert done.keys() == set("adefghijkl")
    assert done["a"][1] == 3
    assert done["d"] == done["e"] == (done["d"][0], 2)
    assert done["a"][0] != done["d"][0]
    one_each = results(run(several, [Planted("a"), Planted("b"), Planted("c")], 3))
    assert {count for _, _, count in one_each} == {1}, "three workers on two GPUs"


def flooding(jobs):
    """Go on to the end, as what checkpoints when it is told to end, with more than a pipe takes."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number, job in enumerate(jobs):
        yield number, (job.name, "x" * 100_000)
    Path(jobs[0].name).write_text("done")


@pytest.mark.slow
def test_a_worker_whose_results_nobody_takes_goes_on_to_its_end(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    files = [tmp_path / f"{number}" for number in range(20)]
    running = run(flooding, [Planted(str(path)) for path in files], 2)
    assert next(done for done in running if done is not None)
    running.close()
    assert [path.name for path in tmp_path.iterdir() if path.read_text() == "done"]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("count", "gpus", "expected"),
    [
        (1, [], [{"OMP_NUM_THREADS": "4"}]),
        (3, [], [{"OMP_NUM_THREADS": "1"}] * 3),
        (8, [], [{"OMP_NUM_THREADS": "1"}] * 8),
        (2, ["0"], [{"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0"}] * 2),
    ],
)
def test_no_more_threads_than_cores(count, gpus, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("mritk_processes.share.available_cores", lambda: 4)
    assert shares(count, gpus) == [{"PYTHONSAFEPATH": "1", **share} for share in expected]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert all("OMP_NUM_THREADS" not in share for share in shares(count, gpus))


def has_lost_its_gpus(job):
    import torch

    return torch.cuda._is_in_bad_fork()


@pytest.mark.slow
def test_workers_may_use_a_gpu_though_they_are_forked():
    """Not if a library had asked for one before the fork: CUDA refuses to work then."""
    assert results(run(has_lost_its_gpus, [1], 1)) == [False]


def test_one_gpu_for_all_workers_is_refused(run_toy):
    ended = run_toy("--jobs", 2, "--device", "cuda:1")
    assert ended.code == 2
    assert "CUDA_VISIBLE_DEVICES=1 and --device cuda" in ended.err
    assert "preparing data" not in ended.err


def test_an_unknown_executor_is_told_before_anything_is_read(run_toy):
    ended = run_toy("--executor", "proceses")
    assert ended.code == 2
    assert "unknown executor 'proceses'; did you mean processes?" in ended.err
    assert "preparing data" not in ended.err


def test_executors_and_explainers_are_listed(mritk):
    names = {row["name"] for row in json.loads(mritk("list", "executors", "--json").out)}
    assert "processes" in names
    names = {row["name"] for row in json.loads(mritk("list", "explainers", "--json").out)}
    assert {"saliency", "integrated_gradients"} <= names
