"""A cluster that is not there, and what Ray says, in one line."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from mritk import Unavailable
from mritk_ray.connection import first_line
from mritk_ray.pool import run


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Unavailable, match=r"not installed: .*'mritk-bench\[ray\]'"):
        list(run(len, ["job"]))
    assert list(run(len, [])) == [], "nothing to do needs no Ray"


@pytest.mark.slow
def test_where_no_cluster_is_one_line_says_so(monkeypatch):
    pytest.importorskip("ray", reason="needs the extra 'ray'").shutdown()
    # Ray would find a cluster that another process of the tests has started here.
    monkeypatch.setattr("ray._private.services._find_address_from_flag", lambda flag: ())
    monkeypatch.setattr("ray._private.services.find_bootstrap_address", lambda folder: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    for address, where in (("auto", ""), (closed, ""), (f"ray://{closed}", ""), ("auto", closed)):
        monkeypatch.setenv("RAY_ADDRESS", where)
        told = f"no Ray cluster at '{address}' (.*'ray start --head'"
        with pytest.raises(Unavailable, match=told.replace("(", r"\(")):
            list(run(len, ["job"], address=address))


def test_a_lost_job_is_told_with_what_ray_says_in_one_sentence():
    text = "The actor died.\n\tpid: 3\nExit type: X Worker exit detail: The end of file. Then"
    assert first_line(RuntimeError(text)) == "The end of file"
    assert first_line(RuntimeError()) == "RuntimeError"
    raised = RuntimeError("ray::Worker.call() (pid=3)\nTraceback")
    raised.cause = KeyError("x\ny")
    assert first_line(raised) == "KeyError: 'x\\ny'"
    raised.cause = ValueError("CUDA error: no access\nCompile with")
    assert first_line(raised) == "ValueError: CUDA error: no access"


DYING = """
import os
from mritk_ray.pool import run


def die(job):
    os._exit(3)


for told in run(die, ["job"], 1):
    if told is not None:
        print(told.attempts, told.retried, flush=True)
"""


@pytest.mark.slow
def test_the_page_of_ray_on_a_worker_that_died_is_left_out(tmp_path):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    (tmp_path / "program.py").write_text(DYING)
    command = [sys.executable, "program.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines() == ["1 True", "2 True", "3 False"], ended.stderr
    assert "raylet" not in ended.stderr
