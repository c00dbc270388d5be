"""The process from which workers are forked, with what the run has imported."""

from __future__ import annotations

import os
import sys
from multiprocessing import forkserver

import pytest

from mritk_processes.pool import run
from tests.plugins.processes.test_processes import results


@pytest.fixture
def new_server(monkeypatch):
    """Nothing is imported for workers but what the test asks for.

    The server of this process goes on beside it: to start it again takes seconds.
    """
    if not hasattr(forkserver, "_forkserver"):
        pytest.skip("this system has no fork server")
    monkeypatch.setattr("mritk_processes.fork_server.LIBRARIES", ("wave", "sunau"))
    server = forkserver.ForkServer()
    for name in ("ensure_running", "connect_to_new_process", "set_forkserver_preload"):
        monkeypatch.setattr(forkserver, name, getattr(server, name))
    yield
    server._stop()


def is_imported(name):
    return name in sys.modules


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 knows no safe path")
def test_modules_beside_the_data_are_not_imported_by_workers(tmp_path, monkeypatch, new_server):
    """A ``pickle.py`` among the data would be run by each worker before anything else."""
    (tmp_path / "pickle.py").write_text("open('executed', 'w')\nraise SystemExit('planted')\n")
    monkeypatch.chdir(tmp_path)
    assert results(run(abs, [-8], 1)) == [8]
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
def test_a_worker_has_imported_already_what_the_run_has_imported(new_server, monkeypatch):
    monkeypatch.setitem(sys.modules, "wave", os)
    monkeypatch.delitem(sys.modules, "sunau", raising=False)
    assert dict(zip("ab", results(run(is_imported, ["wave", "sunau"], 1)), strict=True)) == {
        "a": True,
        "b": False,
    }
