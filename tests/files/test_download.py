"""A file is fetched once, over any connection, and is the right one or is not there."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mritk import Unavailable, UsageError, Workspace, fetch_file

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
        lengths: Whether it tells the length.
        asked: The Range header of every request, empty without.
    """

    url: str
    content: bytes = CONTENT
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    stalls: bool = False
    shifted: int = 0
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
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
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


def left_behind(path):
    """Return the files beside the wanted one, leaving out the lock, which stays."""
    return {found.name for found in path.parent.iterdir()} - {"net.bin", "net.bin.lock"}


def test_a_file_is_fetched_and_nothing_else_is_left(fetch, path):
    assert fetch() == path
    assert path.read_bytes() == CONTENT
    assert left_behind(path) == set()


def test_a_file_that_is_there_needs_no_network(fetch, site, path, workspace):
    fetch()
    site.asked.clear()
    assert fetch() == fetch(workspace=Workspace(workspace.home, offline=True)) == path
    assert site.asked == []


@pytest.mark.parametrize("sha256", [SHA256[:8], SHA256[:20], SHA256.upper()])
def test_the_first_digits_of_the_digest_do(fetch, sha256):
    assert fetch(sha256=sha256).read_bytes() == CONTENT


@pytest.mark.parametrize("sha256", ["", SHA256[:7], SHA256 + "0", "g" * 64])
def test_without_a_digest_nothing_is_fetched(fetch, site, sha256):
    with pytest.raises(UsageError, match="is not a valid SHA-256"):
        fetch(sha256=sha256)
    assert site.asked == []


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://localhost/x", "net.bin", ""])
def test_only_the_web_is_asked(path, workspace, url):
    with pytest.raises(UsageError, match="starts with https"):
        fetch_file(url, path, sha256=SHA256, workspace=workspace)


def test_redirections_are_followed_on_the_web_only(fetch, site):
    root = site.url.removesuffix("/net.bin")
    with pytest.raises(Unavailable, match="ftp"):
        fetch(url=f"{root}/to-a-file")
    assert fetch(url=f"{root}/moved").read_bytes() == CONTENT


# -- connections that break ----------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [True, False])
def test_a_broken_connection_is_taken_up_where_it_broke(fetch, site, lengths):
    site.cuts, site.lengths = [300_000, 200_000], lengths
    if not lengths:  # then nobody can tell that the file is cut but the digest
        with pytest.raises(Unavailable, match="the download has SHA-256"):
            fetch()
        return
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["", "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(fetch, site, path):
    site.cuts = [100_000] * 5
    with pytest.raises(Unavailable, match=r"failed 5 times, last after 500000 of 1280000 bytes"):
        fetch()
    assert not path.exists()
    assert left_behind(path) == {"net.bin.part"}
    site.asked.clear()
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["bytes=500000-"]
    assert left_behind(path) == set()


def test_a_server_without_ranges_starts_again(fetch, site):
    site.ranges, site.cuts = False, [300_000]
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["", "bytes=300000-"]


def test_a_server_that_sends_another_range_is_not_believed(fetch, site):
    site.cuts, site.shifted = [300_000], 7
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["", "bytes=300000-", ""]


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more", b"x" * len(CONTENT)])
def test_a_part_as_long_as_the_file_is_proven_or_thrown_away(fetch, path, part):
    path.parent.mkdir()
    path.with_name("net.bin.part").write_bytes(part)
    assert fetch().read_bytes() == CONTENT


@pytest.mark.parametrize("lengths", [True, False])
def test_a_part_of_another_file_is_thrown_away_and_the_file_fetched_anew(
    fetch, site, path, lengths
):
    site.lengths = lengths
    path.parent.mkdir()
    path.with_name("net.bin.part").write_bytes(b"another version")
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["bytes=15-", ""]
    assert left_behind(path) == set()


@pytest.mark.parametrize(("ranges", "asked"), [(True, ["bytes=7-", ""]), (False, ["bytes=7-"])])
def test_the_wrong_file_is_fetched_anew_once_and_only_if_it_was_resumed(
    fetch, site, path, ranges, asked
):
    site.ranges, site.content = ranges, b"?" + CONTENT[1:]
    path.parent.mkdir()
    path.with_name("net.bin.part").write_bytes(CONTENT[:6] + b"?")
    digest = hashlib.sha256(site.content).hexdigest()
    with pytest.raises(Unavailable, match=f"the download has SHA-256 {digest}"):
        fetch()
    assert site.asked == asked
    assert left_behind(path) == set()


@pytest.mark.slow
def test_what_came_before_a_connection_fell_silent_is_kept(fetch, site, monkeypatch):
    monkeypatch.setattr("mritk.files.download.PATIENCE_S", 0.5)
    site.cuts, site.stalls = [1000], True
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["", "bytes=1000-"]


# -- what cannot be had --------------------------------------------------------------------------


def test_the_wrong_content_is_deleted_and_both_digests_are_named(fetch, site, path):
    site.content = CONTENT[:-1] + b"?"
    with pytest.raises(Unavailable) as error:
        fetch()
    assert hashlib.sha256(site.content).hexdigest() in str(error.value)
    assert f"expected {SHA256}" in str(error.value)
    assert not path.exists()
    assert left_behind(path) == set()


def test_a_wrong_file_in_place_is_named_and_never_overwritten(fetch, site, path):
    path.parent.mkdir()
    path.write_bytes(b"somebody's own")
    with pytest.raises(Unavailable, match=f"expected {SHA256}.*delete it") as error:
        fetch()
    assert str(path) in str(error.value)
    assert path.read_bytes() == b"somebody's own"
    assert site.asked == []


def test_offline_says_which_file_from_where_with_which_digest_goes_where(fetch, site, path):
    with pytest.raises(Unavailable) as error:
        fetch(workspace=Workspace(path.parent, offline=True), instructions="accept its licence")
    text = str(error.value)
    assert error.value.exit_code == 4
    assert "\n" not in text
    for part in ("offline mode", "no net.bin", site.url, SHA256, str(path), "accept its licence"):
        assert part in text
    assert site.asked == []


def test_a_file_that_is_not_on_the_site(fetch, site):
    with pytest.raises(Unavailable, match="404"):
        fetch(url=f"{site.url}.old")
    assert len(site.asked) == 1, "no use in asking again"


def test_a_server_that_is_not_there(path, workspace):
    with pytest.raises(Unavailable, match="refused"):
        fetch_file("http://127.0.0.1:1/net.bin", path, sha256=SHA256, workspace=workspace)


def test_a_folder_that_cannot_be_written(fetch, path):
    path.parent.write_bytes(b"a file")
    with pytest.raises(Unavailable, match=r"File exists|Not a directory"):
        fetch()


# -- several at once -----------------------------------------------------------------------------


def test_threads_that_ask_together_fetch_once(fetch, site, path):
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: fetch(), range(6)))
    assert found == [path] * 6
    assert site.asked == [""]


def fetch_in_process(url: str, path: Path) -> None:
    fetch_file(url, path, sha256=SHA256, workspace=Workspace(path.parent))


@pytest.mark.slow
def test_processes_that_ask_together_fetch_once(site, path):
    context = multiprocessing.get_context("fork")  # what a test module defines cannot be imported
    started = [context.Process(target=fetch_in_process, args=(site.url, path)) for _ in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join(30)
    assert [process.exitcode for process in started] == [0, 0, 0]
    assert path.read_bytes() == CONTENT
    assert site.asked == [""]


# -- progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terminal", "ci", "shown"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_progress_is_shown_where_somebody_looks(fetch, capsys, monkeypatch, terminal, ci, shown):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setenv("CI", ci)
    fetch()
    ended = capsys.readouterr()
    assert ("net.bin" in ended.err) == shown
    assert ended.out == ""
