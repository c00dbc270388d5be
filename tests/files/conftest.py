"""A web server that holds one file, and misbehaves as told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mritk import fetch_file

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """A web server that holds one file, and how it misbehaves.

    Attributes:
        content: What it holds.
        ranges: Whether it serves parts of it.
        cuts: After how many bytes each of the next answers breaks off.
        stalls: Whether it then keeps the connection, and says nothing more.
        shifted: By how many bytes it misses the range that is asked for.
        told: The Content-Range headers of parts, where they are not the right one.
        refusal: The status of its answer to a request for a part; 0 if it serves parts.
        lengths: Whether it tells the length.
        asked: The Range header of every request, empty without.
    """

    url: str
    content: bytes = CONTENT
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    stalls: bool = False
    shifted: int = 0
    told: list[str] | None = None
    refusal: int = 0
    lengths: bool = True
    asked: list[str] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range", "")
        site.asked.append(wanted)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", f"{site.url}")
            self.end_headers()
            return
        if self.path == "/to-a-file":
            self.send_response(302)
            self.send_header("Location", "ftp://localhost/etc/passwd")
            self.end_headers()
            return
        if self.path != "/net.bin":
            self.send_error(404)
            return
        body = site.content
        if wanted and site.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) + site.shifted
            refusal = site.refusal or (416 if start >= len(body) else 0)
            if refusal:
                self.send_error(refusal)
                return
            self.send_response(206)
            right = [f"bytes {start}-{len(body) - 1}/{len(body)}"]
            for told in right if site.told is None else site.told:
                self.send_header("Content-Range", told)
            body = body[start:]
        else:
            self.send_response(200)
        if site.lengths:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not site.cuts:
            self.wfile.write(body)
            return
        self.wfile.write(body[: site.cuts.pop(0)])
        if site.stalls:
            site.closed.wait(60)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.site = Site(f"http://127.0.0.1:{server.server_port}/net.bin")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler.site
    handler.site.closed.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "net.bin"


@pytest.fixture
def fetch(site, path, workspace):
    """Fetch the file of the site; arguments differ from the right ones."""

    def fetch(url=None, sha256=SHA256, workspace=workspace, **more) -> Path:
        return fetch_file(url or site.url, path, sha256=sha256, workspace=workspace, **more)

    return fetch
