"""Workers on several machines: placed by memory, with GPUs of their own; a machine is lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mritk import LostJob
from mritk_ray.pool import run

SLOW = pytest.mark.slow


MIB = 1 << 20


@pytest.fixture
def by_value():
    """Workers cannot import this file."""
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="needs the extra 'ray'")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def stay_or_tell(folder):
    """Stay where the first attempt is made; a later one tells where it is."""
    import ray

    first, here = Path(folder, "first"), ray.get_runtime_context().get_node_id()
    if not first.exists():
        first.write_text(here)
        time.sleep(600)
    return here


@pytest.fixture
def cluster(by_value):
    """Two machines of two cores and GPUs each, beside one without, on which the run is."""
    pytest.importorskip("ray", reason="needs the extra 'ray'").shutdown()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=2, memory=100 * MIB)
    yield cluster
    cluster.shutdown()


@dataclass(frozen=True)
class Sized:
    """A job with what an executor may know of it."""

    name: str
    memory: int
    group: str
    alone: bool = False


@dataclass(frozen=True)
class Met(Sized):
    """A job that ends once as many as ``all_of`` have begun, and left a file in ``folder``."""

    folder: str = ""
    all_of: int = 1


def await_files(folder, count):
    deadline = time.monotonic() + 120
    while len(list(Path(folder).iterdir())) < count:
        assert time.monotonic() < deadline, f"{folder} does not get {count} files"
        time.sleep(0.05)


def place_of(job):
    """Tell where a job was done, with what, when all of them had begun."""
    import ray

    context = ray.get_runtime_context()
    Path(job.folder, job.name).touch()
    await_files(job.folder, job.all_of)
    gpus, given = os.environ["CUDA_VISIBLE_DEVICES"], context.get_assigned_resources()
    return job.name, context.get_node_id(), gpus, given["memory"]


def met(folder, count, memory):
    """Return jobs that are done side by side, or never."""
    folder.mkdir()
    return [
        Met(str(number), memory, "", folder=str(folder), all_of=count) for number in range(count)
    ]


@dataclass(frozen=True)
class Last:
    """What a worker says that was told to end."""

    process: int
    leaving: bool = True


def last_words(job):
    return Last(os.getpid())


def beside(given):
    """Do one job, or several, of which one called ``deadly`` kills the worker.

    One called ``broken`` is done alone, and beside others ends all of them with an error.

    Tells the process, how many jobs it had at once, and the name of the job.
    """
    jobs = given if isinstance(given, list) else [given]

    def told():
        for number, job in enumerate(jobs):
            if job.name == "deadly":
                await_files(job.folder, number)  # what was told before has arrived
                os.kill(os.getpid(), signal.SIGKILL)
            if job.name == "broken" and len(jobs) > 1:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            yield number, (job.name, os.getpid(), len(jobs))

    return told() if isinstance(given, list) else next(told())[1]


@SLOW
def test_workers_are_placed_by_memory_and_have_gpus_of_their_own(cluster, tmp_path):
    """Both GPUs of both machines are used; jobs of 60 MiB leave one worker on each of 100."""
    jobs = met(tmp_path / "four", 4, 40 * MIB)
    told = [one for one in run(place_of, jobs, address=cluster.address) if one is not None]
    assert sorted(name for name, *_ in told) == ["0", "1", "2", "3"]
    assert {gpus for _, _, gpus, _ in told} == {"0", "1"}
    assert len({(machine, gpus) for _, machine, gpus, _ in told}) == 4
    assert {memory for *_, memory in told} == {40 * MIB}

    jobs = met(tmp_path / "two", 2, 60 * MIB)
    told = [one for one in run(place_of, jobs, address=cluster.address) if one is not None]
    assert len({machine for _, machine, _, _ in told}) == 2

    # A worker that was told to end does no other job.
    jobs = [Sized(str(number), 0, "", alone=True) for number in range(2)]
    told = [one for one in run(last_words, jobs, 1, address=cluster.address) if one]
    assert len({one.process for one in told}) == 2

    what_has_a_gpu_to_itself_does_several_jobs(cluster, tmp_path)
    what_a_lost_machine_did_goes_on_on_another(cluster, tmp_path)


def what_has_a_gpu_to_itself_does_several_jobs(cluster, tmp_path):
    """Those of a worker that died are done again, each alone, as one of them may be why."""
    arrived = tmp_path / "arrived"
    arrived.mkdir()
    jobs = [Met(name, 0, "", folder=str(arrived)) for name in ("0", "1", "deadly", "3")]
    told = []
    for one in run(beside, jobs, 1, address=cluster.address):
        if one is not None:
            told.append(one)
            (arrived / str(len(told))).touch()
    lost = [one for one in told if isinstance(one, LostJob)]
    assert sorted({one.job.name for one in lost if one.retried}) == ["3", "deadly"]
    assert [(one.job.name, one.attempts) for one in lost if not one.retried] == [("deadly", 3)]
    done = {one[0]: one[1:] for one in told if one not in lost}
    assert set(done) == {"0", "1", "3"}
    assert {name: count for name, (_, count) in done.items()} == {"0": 4, "1": 4, "3": 1}
    assert done["0"][0] == done["1"][0] != done["3"][0]
    jobs = [Sized(name, 0, "") for name in ("broken", "1", "2")]
    told = [one for one in run(beside, jobs, 1, address=cluster.address) if isinstance(one, tuple)]
    assert sorted(name for name, _, count in told if count == 1) == ["1", "2", "broken"]


def what_a_lost_machine_did_goes_on_on_another(cluster, tmp_path):
    first = tmp_path / "first"
    running = run(stay_or_tell, [str(tmp_path)], address=cluster.address)
    deadline = time.monotonic() + 60
    while not (first.exists() and first.read_text()):
        assert next(running) is None
        assert time.monotonic() < deadline
    lost = first.read_text()
    (node,) = (node for node in cluster.worker_nodes if node.node_id == lost)
    cluster.remove_node(node, allow_graceful=False)
    *retried, told = (done for done in running if done is not None)
    assert all(one.retried for one in retried)
    assert told not in (lost, "")
