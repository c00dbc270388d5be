"""Recognise what people hand in for a file: a pointer of Git LFS, or a web page."""

from __future__ import annotations

from pathlib import Path

# What begins a pointer file: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
LFS = b"version https://git-lfs.github.com/spec/"
PAGE = (b"<!doctype html", b"<html")
LONGEST = 1024


def stand_in(path: Path) -> str:
    """Return what a file is instead of itself, and what to do; empty if it is neither.

    The clause begins with a verb: ``is a web page, …``. A file that cannot be read is neither.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(LONGEST)
    except OSError:
        return ""
    if start.startswith(LFS):
        return "is a pointer of Git LFS and not the file; type 'git lfs pull' in its repository"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(PAGE):
        return (
            "is a web page, which comes where a download needs a login, a licence to be accepted "
            "or another link; download the file itself"
        )
    return ""
