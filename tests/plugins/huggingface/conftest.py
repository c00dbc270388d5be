"""A Hugging Face Hub on the loopback interface, with repositories that the tests make."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".parquet", ".png")


@dataclass
class Hub:
    """What the server holds.

    Attributes:
        address: Where it listens.
        files: Content by ``models/ORG/REPO/FILE`` or ``datasets/ORG/REPO/FILE``.
        sent: What a GET sends instead of the content, for transfers that go wrong.
        refused: Repositories that are answered with this status and error code.
        requests: What was asked.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def add(self, repository: str, folder: Path, kind: str = "models") -> None:
        """Publish a folder."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            self.files[f"{kind}/{repository}/{name}"] = path.read_bytes()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        self.hub.requests.append(f"{self.command} {path}")
        for repository, (status, code) in self.hub.refused.items():
            if repository in path:
                self._end(status, {"X-Error-Code": code})
                return
        if path.startswith("api/"):
            self._describe(path.removeprefix("api/"))
            return
        kind = "datasets" if path.startswith("datasets/") else "models"
        repository, _, rest = path.removeprefix("datasets/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        key = f"{kind}/{repository}/{name}"
        if not any(known.startswith(f"{kind}/{repository}/") for known in self.hub.files):
            self._end(404, {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", COMMIT):
            self._end(404, {"X-Error-Code": "RevisionNotFound"})
        elif key not in self.hub.files:
            self._end(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            self._send(key, with_body=with_body)

    def _send(self, key: str, *, with_body: bool) -> None:
        content = self.hub.files[key]
        self.send_response(200)
        self.send_header("ETag", f'"{digest(key, content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(self.hub.sent.get(key, content))

    def _describe(self, path: str) -> None:
        """Answer the questions about a whole repository that a snapshot begins with."""
        kind, repository = path.split("/", maxsplit=1)[0], "/".join(path.split("/")[1:3])
        prefix = f"{kind}/{repository}/"
        names = [key.removeprefix(prefix) for key in self.hub.files if key.startswith(prefix)]
        if not names:
            self._end(404, {"X-Error-Code": "RepoNotFound"})
            return
        if "/tree/" in path:
            content: Any = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(self.hub.files[prefix + name]),
                    "oid": digest(name, self.hub.files[prefix + name]),
                }
                for name in names
            ]
        else:
            content = {
                "id": repository,
                "sha": COMMIT,
                "private": False,
                "tags": [],
                "siblings": [{"rfilename": name} for name in names],
            }
        body = json.dumps(content).encode()
        self._end(200, {"Content-Type": "application/json"}, body)

    def _end(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


def digest(name: str, content: bytes) -> str:
    """Return what the hub states of a file: the SHA-256 of a large one, git's SHA-1 otherwise."""
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def hub() -> Iterator[Hub]:
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler.hub  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True)
class Ended:
    """How a call of the program ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(hub: Hub, tmp_path: Path) -> Callable[..., Ended]:
    """Call ``mritk`` in a process that knows only this hub; its addresses are read at import."""

    def run(*arguments: object, endpoint: str = hub.address) -> Ended:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environ |= {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path / "hugging-face"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "MRITK_HOME": str(tmp_path / "home"),
            "OMP_NUM_THREADS": "1",
        }
        ended = subprocess.run(
            [sys.executable, "-m", "mritk", *map(str, arguments)],
            check=False,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run
