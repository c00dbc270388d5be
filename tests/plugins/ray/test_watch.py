"""A run on a cluster that is gone ends in one line, and goes on elsewhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from mritk import Unavailable
from mritk.store.folder import ResultsFolder
from mritk_ray import watch
from mritk_ray.watch import Process, Watch
from tests.trial_essence import essence

# In a process of its own: Ray ends each that has known a GCS, a minute after its death.
CLUSTER = """
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
processes = cluster.head_node.all_processes
number = {name: processes[name][0].process.pid for name in ("gcs_server", "raylet")}
print(cluster.address, number["gcs_server"], number["raylet"], flush=True)
input()
cluster.shutdown()
"""

# Kills the processes that a file names, when the first trial has ended; the next one waits while
# the file is there.
KILLING = """
import os, signal, time
from pathlib import Path
from mritk import Augmentation, hookimpl
from mritk_ray import watch

VICTIMS = Path(__file__).with_suffix(".txt")
if VICTIMS.exists():  # not where the tests run
    watch.PATIENCE_S = 0.0


def apply(images, generator):
    while VICTIMS.exists() and not VICTIMS.read_text():
        time.sleep(0.1)
    return images


@hookimpl
def mritk_augmentations():
    yield Augmentation("waiting", apply)


@hookimpl
def mritk_trial_finish():
    if VICTIMS.exists():
        numbers = VICTIMS.read_text().split()
        VICTIMS.write_text("")
        for number in numbers:
            os.kill(int(number), signal.SIGKILL)
"""


@pytest.fixture
def cluster():
    """The address of a cluster of one core, and the numbers of its processes."""
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=os.environ | {"RAY_memory_monitor_refresh_ms": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        address, *numbers = process.stdout.readline().split()
        yield address, dict(zip(("gcs", "raylet"), numbers, strict=True))
        process.communicate("\n")


@pytest.fixture
def killing(tmp_path, monkeypatch):
    """The plugin that kills."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # their number changes results by rounding
    path = tmp_path / "killing.py"
    path.write_text(KILLING)
    return path


@pytest.fixture
def run_apart(toy, fast_protocol, killing, tmp_path):
    """Run on a cluster, in a process of its own, into ``apart``."""

    def run(address):
        command = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
        command += ["-p", killing, "-a", "waiting", "--seeds", 2, "--device", "cpu"]
        command += ["-o", tmp_path / "apart", "--executor", f"ray:{address}"]
        line = [sys.executable, "-m", "mritk", *map(str, command)]
        return subprocess.run(line, capture_output=True, text=True, timeout=100, check=False)

    return run


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("victims", [["raylet"], ["gcs", "raylet"]])
def test_a_run_whose_cluster_is_gone_ends_in_one_line_and_goes_on_elsewhere(
    cluster, killing, run_apart, run_toy, victims
):
    address, numbers = cluster
    killing.with_suffix(".txt").write_text(" ".join(numbers[name] for name in victims))
    ended = run_apart(address)
    assert ended.returncode == 4, ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert address in last and "finished trials are stored" in last
    assert "Traceback" not in ended.stderr
    assert "(raylet)" not in ended.stdout + ended.stderr, "a page of Ray"
    apart = ResultsFolder(killing.with_name("apart"))
    assert [trial.status for trial in apart.trials()] == ["finished"]

    killing.with_suffix(".txt").unlink()
    arguments = ("-p", killing, "-a", "waiting", "--seeds", 2)
    assert run_toy(*arguments, "-o", apart.path).code == 0
    assert run_toy(*arguments).code == 0
    assert essence(apart.path) == essence(killing.with_name("results"))


def test_what_restarts_may_be_silent_for_a_while_and_what_does_not_may_not(monkeypatch):
    now = 100.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
        address = "{}:{}".format(*place)
        patient = Watch([Process(address, "the GCS is lost", restarts=True)])
        strict = Watch([Process(address, "the raylet is lost")])
        assert patient.look() and strict.look()
    assert not patient.look()
    with pytest.raises(Unavailable, match="the raylet is lost; finished trials are stored"):
        strict.look()
    now += watch.PATIENCE_S - 1
    assert not patient.look()
    with socket.create_server(place):
        assert patient.look()
    now += watch.PATIENCE_S
    assert not patient.look(), "it is silent anew"
    now += watch.PATIENCE_S
    with pytest.raises(Unavailable, match="the GCS is lost"):
        patient.wait()
    assert Watch([Process(address, "")]).look(), "what was never there is not watched"
