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
        return "is a Git LFS pointer, not the file; run 'git lfs pull' in its repository"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(PAGE):
        return (
            "is a web page, as served when a download needs a login, an accepted licence or "
            "another link; download the actual file"
        )
    return ""
