"""A Hugging Face hub on the loopback interface, and repositories to put on it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from mritk import Workspace
from mritk.plugins.registry import Registry
from mritk.records import Origin

NAME = "acme/knees"
LARGE = (".safetensors", ".bin", ".png", ".parquet")


@dataclass
class Repo:
    """A repository on the server: one commit, its files, its card."""

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    gated: bool = False

    @property
    def commit(self) -> str:
        listed = sorted((name, hashlib.sha1(b).hexdigest()) for name, b in self.files.items())
        return hashlib.sha1(repr(listed).encode()).hexdigest()


@dataclass
class Hub:
    """What the server holds; ``sent`` replaces the body of a file, ``requests`` are remembered.

    While it is ``ill`` it answers with that status when it should send something.
    """

    address: str
    cache: Path
    models: dict[str, Repo] = field(default_factory=dict)
    datasets: dict[str, Repo] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    ill: int = 0
    stop: Callable[[], None] = lambda: None


def large(name: str) -> bool:
    """Whether the hub keeps a file in large-file storage, known by its SHA-256."""
    return name.endswith(LARGE)


def digest(name: str, content: bytes) -> str:
    if large(name):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def stated(repo: Repo) -> list[dict[str, Any]]:
    rows = []
    for name, content in sorted(repo.files.items()):
        row: dict[str, Any] = {"size": len(content), "blobId": digest("small", content)}
        if large(name):
            row["lfs"] = {
                "sha256": digest(name, content),
                "size": len(content),
                "pointerSize": 130,
            }
        rows.append({"rfilename": name, **row})
    return rows


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        api = parts[0] == "api"
        kind = "models"
        if parts[int(api)] in ("models", "datasets"):
            kind = parts.pop(int(api))
        parts = parts[int(api) :]
        name, parts = "/".join(parts[:2]), parts[2:] or ["revision", "main"]
        verb, revision, *rest = parts
        repo = getattr(self.hub, kind).get(name)
        if self.hub.ill and self.command == "GET":
            self._refuse(self.hub.ill, "Ill")
        elif repo is None:
            self._refuse(401, "RepoNotFound")
        elif repo.gated and verb == "resolve":
            self._refuse(403, "GatedRepo")
        elif revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound")
        elif api:
            self._json(self._told(kind, name, verb, repo))
        else:
            self._file("/".join(rest), repo)

    def _told(self, kind: str, name: str, verb: str, repo: Repo) -> Any:
        if verb == "tree":
            return [
                {
                    "type": "file",
                    "path": row["rfilename"],
                    "size": row["size"],
                    "oid": row["blobId"],
                    **(
                        {"lfs": {**row["lfs"], "oid": row["lfs"]["sha256"]}} if "lfs" in row else {}
                    ),
                }
                for row in stated(repo)
            ]
        return {
            "id": name,
            "sha": repo.commit,
            "siblings": stated(repo),
            "cardData": repo.card,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "private": False,
            "disabled": False,
            "gated": repo.gated,
        }

    def _file(self, name: str, repo: Repo) -> None:
        content = repo.files.get(name)
        if content is None:
            self._refuse(404, "EntryNotFound")
            return
        body = self.hub.sent.get(name, content)
        start = 0
        if (wanted := self.headers.get("Range", "")).startswith("bytes=") and self.command == "GET":
            start = int(wanted.removeprefix("bytes=").split("-")[0] or 0)
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", repo.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{digest("small", content)}"')
        if large(name):
            self.send_header("X-Linked-Etag", f'"{digest(name, content)}"')
            self.send_header("X-Linked-Size", str(len(content)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[start:])
            self.close_connection = len(body) < len(content)

    def _json(self, told: Any) -> None:
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of our own, an empty cache, and a client that knows no other and has no account."""
    from huggingface_hub import constants

    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    address = f"http://127.0.0.1:{server.server_port}"
    hub = Hub(address, tmp_path / "hugging-face" / "hub")
    handler.hub = hub  # type: ignore[attr-defined]
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub.cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()

    def stop() -> None:
        if thread.is_alive():
            server.shutdown()
            thread.join()
            server.server_close()

    hub.stop = stop
    yield hub
    stop()


@pytest.fixture
def registry() -> Registry:
    """A registry that knows this plugin alone."""
    import mritk_huggingface

    registry = Registry()
    registry.register(mritk_huggingface, Origin("huggingface"))
    return registry


@pytest.fixture
def model(hub: Hub) -> Callable[..., Repo]:
    """Put a model on the hub: its ``config.json``, its tensors, and further files."""
    from safetensors.torch import save

    def put(
        name: str,
        config: Mapping[str, Any],
        state: Mapping[str, Any],
        card: Mapping[str, Any] | None = None,
        **files: Mapping[str, Any],
    ) -> Repo:
        content = {"config.json": json.dumps(config).encode()}
        content["model.safetensors"] = save({key: t.contiguous() for key, t in state.items()})
        content |= {f"{key}.json": json.dumps(value).encode() for key, value in files.items()}
        hub.models[name] = Repo(content, dict(card or {}))
        return hub.models[name]

    return put


@pytest.fixture
def put(hub: Hub):
    def put(files: dict[str, bytes], **card) -> Repo:
        hub.datasets[NAME] = Repo(dict(files), card)
        return hub.datasets[NAME]

    return put


@pytest.fixture
def open_(registry, workspace):
    def open_(options: str = "", offline: bool = False):
        registry.workspace = Workspace(workspace.home, offline)
        return registry.dataset(f"hf:{NAME}{options}").open(registry.workspace)

    return open_
