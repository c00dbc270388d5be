"""Write a file, or a folder of files, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mritk.errors import StoreError
from mritk.files.draft import draft_of, remove, remove_abandoned
from mritk.files.remedy import remedy_of


def write_whole(
    path: Path,
    content: bytes | memoryview,
    advice: str = "write elsewhere",
    *,
    parents: int | None = None,
) -> None:
    """Write a file under another name first, synced, then renamed.

    Args:
        path: The file.
        content: All of it.
        advice: What a person can do where the cause cannot be mended.
        parents: See :func:`open_whole`.

    Raises:
        StoreError: It cannot be written; what stood at ``path`` before still does.
    """
    try:
        with open_whole(path, parents=parents) as stream:
            stream.write(content)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; {remedy_of(error, path)}, or {advice}"
        ) from error


@contextmanager
def open_whole(path: Path, *, parents: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` atomically when the block ends without an error.

    A device or a pipe, such as ``/dev/null``, is written to, not replaced.

    Args:
        path: The file.
        parents: How many missing folders above it are created, 0 or 1; None: all. A folder that is
            gone for a while must not come to life again with this file alone.

    Raises:
        OSError: It cannot be written; an existing ``path`` is unchanged.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        with path.open("wb") as stream:
            yield stream
        return
    draft = draft_of(path)
    try:
        if parents != 0:
            path.parent.mkdir(parents=parents is None, exist_ok=True)
        with draft.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, is_synced: bool = False) -> Iterator[Path]:
    """Provide an empty folder that is moved to ``path`` when the block ends without an error.

    Drafts of killed processes next to it are removed first.

    Args:
        path: The folder.
        is_synced: Whether the block syncs everything that it writes.

    Raises:
        OSError: It cannot be created, or ``path`` exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    draft = draft_of(path)
    try:
        draft.mkdir()
        yield draft
        if not is_synced and hasattr(os, "sync"):
            os.sync()  # all at once: ten thousand files one by one would take minutes
        draft.rename(path)
        sync_folder(path.parent)
    finally:
        remove(draft)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last."""
    if os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
