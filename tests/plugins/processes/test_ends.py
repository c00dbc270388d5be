"""Workers end with their run, however it ends, and say nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.liveness import is_alive

PARENT = """
import os, sys, time
from pathlib import Path
from mritk_processes.pool import run
from sleeper import sleep

if __name__ == "__main__":
    list(run(sleep, [1, 2], 2))
"""


SLEEPER = """
import multiprocessing, os, time
from pathlib import Path


def sleep(job):
    if os.environ.get("WITH_CHILD"):
        child = multiprocessing.Process(target=time.sleep, args=(600,), daemon=True)
        child.start()
        Path(f"child-{job}").write_text(str(child.pid))
    Path(f"worker-{job}").write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def sleeping_run(tmp_path):
    """A run of two workers that sleep, in a group of processes as a terminal makes one."""
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    with subprocess.Popen(
        [sys.executable, "parent.py"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        pids = [int(wait_for(tmp_path / f"worker-{job}")) for job in (1, 2)]
        yield parent
        deadline = time.monotonic() + 30
        while any(is_alive(pid) for pid in pids):
            assert time.monotonic() < deadline, "a worker goes on without its parent"
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_process_that_started_it(sleeping_run, how):
    sleeping_run.send_signal(how)
    assert sleeping_run.wait() == -how


@pytest.fixture
def with_child(monkeypatch):
    """The workers of the run, which is started after this, have a child each."""
    monkeypatch.setenv("WITH_CHILD", "1")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_no_child_of_a_worker_outlives_a_run_that_is_killed(with_child, sleeping_run, tmp_path):
    pids = [int(wait_for(tmp_path / f"child-{job}")) for job in (1, 2)]
    sleeping_run.kill()
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a child goes on without its worker"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_is_told_by_the_run_alone(sleeping_run):
    """A terminal sends it to all processes; a worker that is ended has nothing to say."""
    os.killpg(sleeping_run.pid, signal.SIGINT)
    assert sleeping_run.wait() == -signal.SIGINT
    assert sleeping_run.stderr.read().count("Traceback") == 1


MASK = """
import signal
from multiprocessing import forkserver
from mritk_processes.fork_server import worker_context

worker_context({})
print(open(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read())
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_does_not_reach_the_server_while_it_imports():
    """In a process that has not started the resource tracker, which lifts the block."""
    ended = subprocess.run([sys.executable, "-c", MASK], capture_output=True, text=True, check=True)
    blocked = re.search(r"SigBlk:\s*(\w+)", ended.stdout)[1]
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert ended.stdout.splitlines()[-1] == "set()", "the run itself hears it"


def wait_for(path):
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.05)
    return path.read_text()
