"""How many workers there are, and how they share cores, memory and GPUs."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mritk import LostJob, available_cores
from mritk.store.folder import ResultsFolder
from mritk_processes.pool import run
from mritk_processes.share import shares


def results(told):
    """What came out, without the moments in which nothing was ready."""
    return [done for done in told if done is not None]


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
    """Return the environment, when both have begun: no process does two of them."""
    import torch

    folder, name = job
    Path(folder, name).touch()
    deadline = time.monotonic() + 120
    while len(list(Path(folder).iterdir())) < 2:
        assert time.monotonic() < deadline, "the jobs are not done side by side"
        time.sleep(0.05)
    return (*(os.environ.get(name) for name in ENVIRONMENT), torch.get_num_threads())


@pytest.mark.slow
def test_workers_share_the_cores_and_the_gpus(monkeypatch, tmp_path):
    """Two at once on four cores: two threads each; a GPU each, by the names that are visible."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("mritk_processes.share.available_cores", lambda: 4)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-12ab")
    begun = tmp_path / "begun"
    begun.mkdir()
    seen = set(results(run(environment_of, [(str(begun), "1"), (str(begun), "2")], None)))
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


def loaded_by_another_process(job):
    from torch.utils.data import DataLoader

    return [int(batch) for batch in DataLoader([job, job + 1], num_workers=1)]


@pytest.mark.slow
def test_a_worker_may_load_data_in_processes_of_its_own():
    assert results(run(loaded_by_another_process, [3], 1)) == [[3, 4]]


def deaf(path):
    """Take SIGTERM for nothing, as a method without checkpoints does, and hang."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(path).touch()
    time.sleep(25)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_a_worker_that_does_not_end_when_it_is_told_to_is_killed(monkeypatch, tmp_path):
    monkeypatch.setattr("mritk_processes.pool.END_S", 0.5, raising=False)
    running = run(deaf, [tmp_path / "begun"], 1)
    while not (tmp_path / "begun").exists():
        next(running)
    told = time.monotonic()
    running.close()
    assert time.monotonic() - told < 10


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
