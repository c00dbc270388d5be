"""Paths as people type them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(typed: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder in place of ``~``.

    ``~`` of a user that is not known stays as it is, so that the path is reported as one that does
    not exist; :meth:`pathlib.Path.expanduser` raises there.
    """
    return Path(os.path.expanduser(typed))  # noqa: PTH111


def as_typed(path: str | os.PathLike[str]) -> str:
    """Return a path as it is typed into a shell: quoted, and never an option."""
    from shlex import quote

    text = os.fspath(path)
    return quote(f"./{text}" if text.startswith("-") else text)
