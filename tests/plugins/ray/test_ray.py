"""Trials on a Ray cluster give what they give in one process, whatever happens to the workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk_ray.pool import run
from mritk_ray.share import Share, share_of, tell_if_no_room
from mritk_ray.watch import Watch
from tests.liveness import is_alive
from tests.plugins.ray.test_ray_machines import Sized
from tests.plugins.ray.waiting import wait_until
from tests.trial_essence import essence

SLOW = pytest.mark.slow
ON_RAY = ("--executor", "ray")
ERRORS = (
    "RayActorError",
    "OutOfMemoryError",
    "NodeDiedError",
    "WorkerCrashedError",
    "RayTaskError",
)


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
        ([{"CPU": 32}, {"CPU": 4, "GPU": 2}], 20, None, Share(2, 2, 1)),
        ([{"CPU": 4, "GPU": 1}, {"CPU": 32, "GPU": 1}], 20, None, Share(2, 4, 1)),
        ([{"CPU": 4}, {"CPU": 32}], 20, 2, Share(2, 16, 0)),
        ([{"CPU": 8, "GPU": 2}], 20, 3, Share(3, 2, 0.5)),
        ([{"CPU": 8, "GPU": 1}], 20, 7, Share(7, 1, 0.1428)),
        ([{"CPU": 0, "GPU": 2}, {"CPU": 8}], 20, None, Share(8, 1, 0)),
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
        ([{"CPU": 8, "memory": 99}, {"CPU": 4, "GPU": 1, "memory": 4}], None, Share(1, 4, 1, 4)),
    ],
)
def test_no_more_workers_than_the_memory_of_each_machine_holds(machines, at_once, share):
    """Of jobs that take 5; a person's number stands, and what fits nowhere is tried alone."""
    assert share_of(machines, 20, at_once, memory=5) == share


@pytest.mark.parametrize(("machines", "told"), [([{"CPU": 0}], 1), ([{"CPU": 1, "GPU": 1}], 0)])
def test_a_worker_for_which_no_machine_has_room_is_told(machines, told, caplog):
    """It waits for one to join: in a cluster that starts, the head is there first."""
    tell_if_no_room(machines, share_of(machines, 5))
    assert len(caplog.messages) == told


def test_the_address_of_a_cluster_is_part_of_the_name():
    registry = Registry.load(environ={})
    for name in ("ray", "ray:auto", "ray:10.0.0.1:6379"):
        assert registry.executor(name).name == name


@SLOW
def test_a_result_is_yielded_for_each_job_and_none_meanwhile(ray):
    told = list(run(os.path.basename, ["a/b", "a/c", "a/d"], 2))
    assert sorted(done for done in told if done is not None) == ["b", "c", "d"]


@SLOW
def test_trial_files_equal_those_of_processes_and_of_one_process(
    run_toy, tmp_path, ray, one_thread
):
    """Bit for bit, but for times and provenance."""
    ways = {"ray": ("--executor", "ray"), "apart": ("--jobs", 2), "here": ()}
    for name, way in ways.items():
        ended = run_toy("--seeds", 2, *way, "-o", tmp_path / name)
        assert ended.code == 0, ended.err
    here = essence(tmp_path / "here")
    assert len(here) == 2
    assert essence(tmp_path / "ray") == essence(tmp_path / "apart") == here


# Ends its process as the next word of a file says: first in the second epoch, then at once.
TROUBLED = """
import os, signal, time
from pathlib import Path
from mritk import Augmentation, hookimpl

PLAN = Path(__file__).with_suffix(".txt")
count = 0


def apply(images, generator):
    global count
    count += 1
    words = PLAN.read_text().split() if PLAN.exists() else []
    if words == ["run"]:
        time.sleep(0.4)
    elif words and count >= (4 if len(words) == 4 else 1):
        PLAN.write_text(" ".join(words[1:]))
        os.kill(os.getpid(), getattr(signal, words[0]))
    return images


def die(images, generator):
    os.kill(os.getpid(), signal.SIGKILL)


@hookimpl
def mritk_augmentations():
    yield Augmentation("troubled", apply)
    yield Augmentation("deadly", die)


@hookimpl
def mritk_epoch_end(epoch):
    # Told to the run, not to its workers.
    if PLAN.exists() and PLAN.read_text() == "run" and epoch.epoch >= 2:
        PLAN.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def troubled(tmp_path, one_thread):
    """A plugin that does what stands in ``troubled.txt``."""
    path = tmp_path / "troubled.py"
    path.write_text(TROUBLED)
    return path


@SLOW
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_trial_that_was_begun_here_and_went_on_on_ray_ends_here_as_if_nothing_had_happened(
    run_toy, toy, fast_protocol, ray, troubled
):
    """Killed here; on Ray a worker is told to end, another killed, then the run; ended here."""
    tmp_path = troubled.parent
    plan, apart = troubled.with_suffix(".txt"), tmp_path / "apart"
    arguments = ("-p", troubled, "-a", "troubled", "--seeds", 1)
    command = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
    command += [*arguments, "-o", apart, "--device", "cpu"]

    def run_and_die(*more):
        command_line = [sys.executable, "-m", "mritk", *map(str, (*command, *more))]
        assert subprocess.run(command_line, check=False).returncode == -signal.SIGKILL

    plan.write_text("SIGKILL SIGTERM SIGKILL run")
    run_and_die()
    assert plan.read_text() == "SIGTERM SIGKILL run"
    run_and_die("--executor", f"ray:{ray.get_runtime_context().gcs_address}")
    assert plan.read_text() == ""
    assert run_toy(*arguments, "-o", apart).code == 0
    assert run_toy(*arguments).code == 0
    assert essence(apart) == essence(tmp_path / "results")


@SLOW
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_trial_that_kills_three_workers_is_stored_as_failed(
    run_toy, mritk, tmp_path, ray, troubled, caplog
):
    ended = run_toy("-p", troubled, *("-a", "deadly", "-a", "none"), "--seeds", 1, *ON_RAY)
    assert ended.code == 3
    told = [line.getMessage() for line in caplog.records if "the worker of" in line.getMessage()]
    assert [line.partition("; ")[2] for line in told] == [
        f"the trial goes on from its checkpoint after the others, in attempt {attempt} of 3"
        for attempt in (2, 3)
    ]
    assert all(
        line.startswith("the worker of tiny@scratch on bands seed 0 died (") for line in told
    )
    stored = {t.augmentation: t for t in ResultsFolder(tmp_path / "results").trials()}
    assert stored["none"].status == "finished"
    failed = stored["deadly"]
    assert failed.status == "failed"
    assert failed.failure.type == "WorkerDied"
    assert re.search(r"died \(.+\).*, in 3 attempts", failed.failure.message)
    assert failed.failure.epoch == len(failed.history)
    assert "2 trials are intact" in mritk("doctor", tmp_path / "results").out


def hang(note):
    """Hang, with a process that it has started, and be ended after a second."""
    from mritk.execute.time_limit import at_most

    with at_most(1.0, Path(note)):
        child = subprocess.Popen(["sleep", "600"])
        with Path(f"{note}.children").open("a") as stream:
            stream.write(f"{child.pid} ")
        time.sleep(600)


@SLOW
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_hangs_is_ended_with_its_worker_and_tried_again(tmp_path, ray, by_value):
    note = tmp_path / "note"
    lost = [done for done in run(hang, [str(note)], 1) if done is not None]
    assert [(one.attempts, one.retried) for one in lost] == [(1, True), (2, True), (3, False)]
    assert {one.job for one in lost} == {str(note)}
    assert all(one.reason.startswith("died (") for one in lost)
    assert note.exists()
    children = (tmp_path / "note.children").read_text().split()
    assert len(children) == 3
    wait_until(lambda: not any(map(is_alive, children)))


@pytest.fixture
def by_value():
    """Workers cannot import this file."""
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="needs the extra 'ray'")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


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


def taken(groups, seat, gpus=0.0, alone="", workers=2):
    """The jobs that a worker takes next, as their numbers, of these groups, while another one does
    a job of group ``a``; those of ``alone`` are jobs that must have their worker to themselves."""
    from mritk_ray.pool import _Pool, _Seat

    ray = SimpleNamespace(exceptions=SimpleNamespace(**dict.fromkeys(ERRORS, ValueError)))
    pool = _Pool(ray, len, Share(workers, 1, gpus), {}, Watch())
    pool._seats = {"other": _Seat(None, "a")}
    jobs = [Sized(str(n), 0, group, str(n) in alone) for n, group in enumerate(groups)]
    waiting = list(jobs)
    found = pool._next(_Seat(None, seat), waiting)
    assert waiting == [job for job in jobs if job not in found]
    return "".join(job.name for job in found)


def test_a_worker_keeps_to_the_data_that_it_has_opened():
    """Else it takes what no other worker does, and else the longest job that is left."""
    assert taken("aabc", "b") == "2"
    assert taken("aabc", "") == "2"
    assert taken("aa", "c") == "0"


def test_a_worker_with_a_gpu_of_its_own_takes_its_part_of_what_is_left():
    """Jobs of the data that it has opened first; none that must be alone."""
    assert taken("aabcb", "b", gpus=1) == "2"
    assert taken("aabcbaaccaaaa", "b", gpus=1) == "240"
    assert taken("aabcbaaccaaaa", "b", gpus=1, alone="4") == "201"
    assert taken("aabcbaaccaaaa", "b", gpus=0.5) == "2"
    assert taken("aabcb", "b", gpus=1, alone="2") == "2"
    assert taken("a", "b", gpus=1) == "0"
    assert taken("aabcb", "b", gpus=1, workers=1) == "24013"
