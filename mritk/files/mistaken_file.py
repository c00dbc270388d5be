"""Recognise what people hand in for a file: an empty one, a Git LFS pointer, a server's answer."""

from __future__ import annotations

import re
from pathlib import Path

# What begins a pointer file: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
LFS = b"version https://git-lfs.github.com/spec/"
PAGE = (b"<!doctype html", b"<html")
# What servers answer instead of a file: Hugging Face and GitHub as JSON, S3 as XML.
ANSWER = re.compile(
    rb"\s*(?:\{\s*\"(?:error|message|detail|status)\"\s*:|<\?xml[^>]*>\s*<error>)", re.IGNORECASE
)
LONGEST = 1024


def stand_in(path: Path) -> str:
    """Return what a file is instead of itself, and what to do; empty if it is the file.

    The clause begins with a verb: ``is a web page, …``. A file that cannot be read is left to
    whoever reads it.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(LONGEST)
    except OSError:
        return ""
    if not start:
        return "is empty; download or copy it again"
    if ANSWER.match(start):
        return "is an error message of a server, not the file; check the link and download it"
    if start.startswith(LFS):
        return "is a Git LFS pointer, not the file; run 'git lfs pull' in its repository"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(PAGE):
        return (
            "is a web page, as served when a download needs a login, an accepted licence or "
            "another link; download the actual file"
        )
    return ""
