"""Trials on a Ray cluster give what they give in one process, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mritk import Unavailable
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk_ray.pool import run
from mritk_ray.share import Share, share_of

SLOW = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def ended_at_last():
    """Ray goes on from test to test, because its start takes seconds."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.fixture
def ray():
    """Ray on this machine."""
    module = pytest.importorskip("ray", reason="needs the extra 'ray'")
    if not module.is_initialized():
        module.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    return module


@pytest.fixture
def one_thread(monkeypatch):
    """The number of threads changes results by rounding."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("machines", "jobs", "at_once", "share"),
    [
        ([{"CPU": 8}], 20, None, Share(8, 1, 0)),
        ([{"CPU": 8}], 3, None, Share(3, 2, 0)),
        ([{"CPU": 8}], 20, 2, Share(2, 4, 0)),
        ([{"CPU": 8}], 1, 4, Share(1, 2, 0)),
        ([{"CPU": 16, "GPU": 4}], 20, None, Share(4, 4, 1)),
        ([{"CPU": 16, "GPU": 1}], 20, 4, Share(4, 4, 0.25)),
        ([{"CPU": 16, "GPU": 4}], 2, None, Share(2, 8, 1)),
        ([{"CPU": 4}, {"CPU": 12}, {}], 20, 1, Share(1, 12, 0)),
        ([{"CPU": 4}, {"CPU": 4, "GPU": 1}], 20, None, Share(1, 4, 1)),
        ([], 5, None, Share(1, 1, 0)),
    ],
)
def test_workers_share_what_the_machines_have_and_none_spans_two(machines, jobs, at_once, share):
    assert share_of(machines, jobs, at_once) == share


@pytest.mark.parametrize(
    ("machines", "at_once", "share"),
    [
        ([{"CPU": 8, "memory": 16}], None, Share(3, 2, 0, 5)),
        ([{"CPU": 2, "memory": 64}], None, Share(2, 1, 0, 5)),
        ([{"CPU": 8, "memory": 16}], 6, Share(6, 1, 0)),
        ([{"CPU": 8, "memory": 3}], None, Share(1, 8, 0, 3)),
        ([{"CPU": 0, "memory": 99}, {"CPU": 4, "memory": 9}], None, Share(1, 4, 0, 5)),
        ([{"CPU": 4, "memory": 9}, {"CPU": 4, "memory": 9}], None, Share(2, 4, 0, 5)),
        ([{"CPU": 16, "GPU": 4, "memory": 12}], None, Share(2, 8, 1, 5)),
        ([{"CPU": 8}], None, Share(8, 1, 0)),
    ],
)
def test_no_more_workers_than_the_memory_of_each_machine_holds(machines, at_once, share):
    """Of jobs that take 5; a person's number stands, and what fits nowhere is tried alone."""
    assert share_of(machines, 20, at_once, memory=5) == share


def test_the_address_of_a_cluster_is_part_of_the_name():
    registry = Registry.load(environ={})
    for name in ("ray", "ray:auto", "ray:10.0.0.1:6379"):
        assert registry.executor(name).name == name


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Unavailable, match=r"not installed: .*'mritk-bench\[ray\]'"):
        list(run(len, ["job"]))
    assert list(run(len, [])) == [], "nothing to do needs no Ray"


@SLOW
def test_where_no_cluster_is_one_line_says_so():
    pytest.importorskip("ray", reason="needs the extra 'ray'").shutdown()
    with pytest.raises(Unavailable, match=r"no Ray cluster at 'auto' \(.*'ray start --head'"):
        list(run(len, ["job"], address="auto"))


@SLOW
def test_a_result_is_yielded_for_each_job_and_none_meanwhile(ray):
    told = list(run(os.path.basename, ["a/b", "a/c", "a/d"], 2))
    assert sorted(done for done in told if done is not None) == ["b", "c", "d"]


@SLOW
def test_predictions_equal_those_of_a_run_in_this_process(run_toy, tmp_path, ray, one_thread):
    assert run_toy("--seeds", 2).code == 0
    ended = run_toy("--seeds", 2, "--executor", "ray", "-o", tmp_path / "apart")
    assert ended.code == 0, ended.err
    here = {t.id: t for t in ResultsFolder(tmp_path / "results").trials()}
    apart = {t.id: t for t in ResultsFolder(tmp_path / "apart").trials()}
    assert here.keys() == apart.keys()
    for name, trial in here.items():
        other = apart[name]
        assert np.array_equal(trial.predictions["test"].score, other.predictions["test"].score)


# Kills its worker: {times} times, or always.
DEADLY = """
import os, signal
from pathlib import Path
from mritk import Augmentation, hookimpl

DEATHS = Path({folder!r}) / "deaths"


def die(images, generator):
    deaths = len(DEATHS.read_text()) if DEATHS.exists() else 0
    if deaths < {times}:
        DEATHS.write_text("x" * (deaths + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return images


@hookimpl
def mritk_augmentations():
    yield Augmentation("deadly", die)
"""


@SLOW
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_trial_that_is_killed_here_and_on_ray_ends_as_if_it_had_not_been(
    run_toy, toy, fast_protocol, tmp_path, ray, one_thread
):
    """Begun in one process, which is killed; then on Ray, where two workers are killed."""
    plugin = tmp_path / "deadly.py"
    plugin.write_text(DEADLY.format(folder=str(tmp_path), times=3))
    arguments = ("-p", plugin, "-a", "deadly", "--seeds", 1)
    serial = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
    serial += [*arguments, "-o", tmp_path / "apart", "--device", "cpu"]
    killed = subprocess.run([sys.executable, "-m", "mritk", *map(str, serial)], check=False)
    assert killed.returncode == -signal.SIGKILL
    ended = run_toy(*arguments, "--executor", "ray", "-o", tmp_path / "apart")
    assert ended.code == 0, ended.err
    assert run_toy(*arguments).code == 0
    (apart,) = ResultsFolder(tmp_path / "apart").trials()
    (here,) = ResultsFolder(tmp_path / "results").trials()
    assert (tmp_path / "deaths").read_text() == "xxx"
    assert np.array_equal(apart.predictions["test"].score, here.predictions["test"].score)
    assert [epoch.val_loss for epoch in apart.history] == [e.val_loss for e in here.history]


@SLOW
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_trial_that_kills_three_workers_is_stored_as_failed(run_toy, mritk, tmp_path, ray):
    plugin = tmp_path / "deadly.py"
    plugin.write_text(DEADLY.format(folder=str(tmp_path), times=99))
    ended = run_toy("-p", plugin, "-a", "deadly", "-a", "none", "--seeds", 1, "--executor", "ray")
    assert ended.code == 3
    stored = {t.augmentation: t for t in ResultsFolder(tmp_path / "results").trials()}
    assert stored["none"].status == "finished"
    failed = stored["deadly"]
    assert failed.status == "failed"
    assert "in 3 attempts" in failed.failure.message
    assert failed.failure.epoch == len(failed.history)
    assert "2 trials are intact" in mritk("doctor", tmp_path / "results").out


def stay_or_tell(folder):
    """Stay where the first attempt is made; a later one tells where it is."""
    import ray

    first, here = Path(folder, "first"), ray.get_runtime_context().get_node_id()
    if not first.exists():
        first.write_text(here)
        time.sleep(600)
    return here


@pytest.fixture
def cluster():
    """Two machines of one core each, beside one without, on which the run is."""
    pytest.importorskip("ray", reason="needs the extra 'ray'").shutdown()
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    # Workers cannot import this file.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@SLOW
def test_what_a_lost_machine_did_goes_on_on_another(cluster, tmp_path):
    first = tmp_path / "first"
    running = run(stay_or_tell, [str(tmp_path)], address=cluster.address)
    deadline = time.monotonic() + 60
    while not (first.exists() and first.read_text()):
        assert next(running) is None
        assert time.monotonic() < deadline
    lost = first.read_text()
    (node,) = (node for node in cluster.worker_nodes if node.node_id == lost)
    cluster.remove_node(node, allow_graceful=False)
    (told,) = (done for done in running if done is not None)
    assert told not in (lost, "")


OUTLIVED = """
import os, time
from mritk_ray.pool import run

done = run(time.sleep, [600], 1)
for _ in range(3):
    assert next(done) is None  # it sleeps
os._exit(9)
"""


@SLOW
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_worker_outlives_a_run_that_was_killed(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    mark = f"run-{os.getpid()}"
    environment = {**os.environ, "MRITK_TEST_MARK": mark}
    command = [sys.executable, "-c", OUTLIVED]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == 9
    deadline = time.monotonic() + 60
    while any(is_worker_of(path, mark) for path in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < deadline, "a worker goes on without its run"
        time.sleep(0.2)


def is_worker_of(process, mark):
    """Tell whether a process is a worker of the marked run; agents of Ray may stay a while."""
    try:
        ours = mark.encode() in (process / "environ").read_bytes()
        return ours and (process / "cmdline").read_bytes().startswith(b"ray::Worker")
    except OSError:
        return False


def test_a_lost_job_is_told_with_what_ray_says_in_one_sentence():
    from mritk_ray.pool import _first_line

    text = "The actor died.\n\tpid: 3\nExit type: X Worker exit detail: The end of file. Then"
    assert _first_line(RuntimeError(text)) == "The end of file"
    assert _first_line(RuntimeError()) == "RuntimeError"
