"""Stores and servers of MLflow on this machine, without the mlflow server itself."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """A database with all of MLflow's tables, which take seconds to make."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(empty_database, tmp_path, monkeypatch) -> str:
    """Switch the plugin on, with a SQLite database as the store."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture
def files(tmp_path, monkeypatch) -> str:
    """Switch the plugin on, with a folder as the store, which MLflow wants to be allowed."""
    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


IMPATIENT = """
from mritk import Background
from mritk.__main__ import run
Background.PATIENCE = {seconds}
run()
"""


@pytest.fixture
def run_with_patience(toy, fast_protocol, tmp_path):
    """Run a trial in a process that waits so many seconds for what is in the background."""

    def run(seconds: float) -> subprocess.CompletedProcess[str]:
        command = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
        command += ["-o", tmp_path / "results", "--device", "cpu", "--seeds", 1]
        return subprocess.run(
            [sys.executable, "-c", IMPATIENT.format(seconds=seconds), *map(str, command)],
            timeout=90,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


class TrackingServer(ThreadingHTTPServer):
    """Answers what the plugin asks of a tracking server, and keeps every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.requests: list[tuple[str, dict]] = []
        self.uri = f"http://127.0.0.1:{self.server_port}"

    def asked(self, end: str) -> list[dict]:
        """Return the requests to addresses with this end."""
        return [body for path, body in self.requests if path.endswith(end)]


class _Answer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        self._reply({})

    def do_POST(self):
        self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _reply(self, body: dict) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append((path, body))
        status, answer = 200, {}
        if path.endswith("experiments/get-by-name"):
            status, answer = 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}
        if path.endswith("experiments/create"):
            answer = {"experiment_id": "7"}
        if path.endswith(("runs/create", "runs/get")):
            info = {"run_id": "r1", "experiment_id": "7", "status": "RUNNING"}
            answer = {"run": {"info": info, "data": {}}}
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def server(monkeypatch) -> Iterator[TrackingServer]:
    """Switch the plugin on, with a tracking server on this machine."""
    server = TrackingServer()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def silent_server(monkeypatch) -> Iterator[str]:
    """Switch the plugin on, with a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        yield uri


@pytest.fixture
def nobody(monkeypatch) -> str:
    """Switch the plugin on, with the address of a server that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri
