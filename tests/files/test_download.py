"""A file is fetched once, over any connection, and is the right one or is not there."""

from __future__ import annotations

import hashlib
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mritk import Unavailable, UsageError, Workspace, fetch_file
from tests.files.conftest import CONTENT, SHA256


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


# RFC 9110, 14.4 and 15.3.7: the unit in any case; one range, stated once, within the file.
@pytest.mark.parametrize("told", [["Bytes 300000-1279999/1280000"], ["BYTES 300000-1279999/*"]])
def test_the_unit_of_a_range_is_written_in_any_case(fetch, site, told):
    site.cuts, site.told = [300_000], told
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["", "bytes=300000-"]


@pytest.mark.parametrize(
    "told",
    [
        [],
        ["bytes */1280000"],
        ["bytes 300000-299999/1280000"],
        ["bytes 300000-1279999/1279999"],
        ["bytes 300000-1279999/1280000", "bytes 300000-1279999/1280000"],
        ["bytes 0-979999/1280000"],
    ],
)
def test_a_part_that_does_not_say_which_it_is_replaces_nothing(fetch, site, told):
    site.cuts, site.told = [300_000], told
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["", "bytes=300000-", ""]


@pytest.mark.parametrize("status", [400, 403, 501])
def test_a_server_that_refuses_ranges_is_asked_for_the_whole_file(fetch, site, status):
    site.cuts, site.refusal = [300_000], status
    assert fetch().read_bytes() == CONTENT
    assert site.asked == ["", "bytes=300000-", ""]


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_that_passes_leaves_what_came_before(fetch, site, path, status):
    site.cuts, site.refusal = [300_000], status
    with pytest.raises(Unavailable, match=str(status)):
        fetch()
    assert site.asked == ["", "bytes=300000-"]
    assert path.with_name("net.bin.part").read_bytes() == CONTENT[:300_000]
    site.refusal = 0
    assert fetch().read_bytes() == CONTENT


def test_a_file_that_is_gone_is_told_as_such_and_its_part_kept(fetch, site, path):
    path.parent.mkdir()
    path.with_name("net.bin.part").write_bytes(CONTENT[:7])
    with pytest.raises(Unavailable, match="404"):
        fetch(url=f"{site.url}.old")
    assert site.asked == ["bytes=7-", ""]
    assert path.with_name("net.bin.part").read_bytes() == CONTENT[:7]


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
