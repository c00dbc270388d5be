"""What people hand in for a file: a pointer of Git LFS, or a web page."""

from __future__ import annotations

import pytest

from mritk import DataError, Unavailable, Workspace, manual_file, unpacked
from mritk.files.mistaken_file import stand_in

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
PAGES = (
    b"<!DOCTYPE html><title>Sign in</title>",
    b"\xef\xbb\xbf\n <!doctype HTML>",
    b"<HTML lang=en>",
)


def test_a_pointer_of_git_lfs_is_told_with_what_to_type(tmp_path):
    (tmp_path / "net.pt").write_bytes(POINTER)
    assert "'git lfs pull'" in stand_in(tmp_path / "net.pt")


@pytest.mark.parametrize("content", PAGES)
def test_a_web_page_is_told(content, tmp_path):
    (tmp_path / "net.pt").write_bytes(content)
    assert stand_in(tmp_path / "net.pt").startswith("is a web page")


@pytest.mark.parametrize(
    "content",
    [
        b'{"error":"Repository not found"}',
        b'{ "message": "Not Found", "documentation_url": "https://docs.github.com/rest" }',
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
    ],
)
def test_an_error_message_of_a_server_is_told(content, tmp_path):
    (tmp_path / "net.pt").write_bytes(content)
    assert "error message of a server" in stand_in(tmp_path / "net.pt")


def test_an_empty_file_is_told(tmp_path):
    (tmp_path / "net.pt").touch()
    assert stand_in(tmp_path / "net.pt") == "is empty; download or copy it again"


@pytest.mark.parametrize(
    "content", [b'{"a": 1}', b"<?xml?><a/>", b"PK\x03\x04", b"\x80\x02", b"x < y", b"version 2"]
)
def test_other_files_are_what_they_are(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    assert stand_in(tmp_path / "file") == ""


def test_what_cannot_be_read_is_left_to_whoever_reads_it(tmp_path):
    assert stand_in(tmp_path / "none") == ""
    assert stand_in(tmp_path) == ""


@pytest.mark.parametrize("content", [POINTER, PAGES[0]])
def test_archives_and_manual_files_are_looked_at(content, tmp_path):
    home = tmp_path / "home"
    file = home / "weights" / "mine" / "net.zip"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"Git LFS|web page"):
        unpacked(file, Workspace(home))
    with pytest.raises(Unavailable, match=r"(Git LFS|web page).*; get it from there"):
        manual_file(
            file.name, Workspace(home), folder="weights/mine", instructions="get it from there"
        )
