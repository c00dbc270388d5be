"""Write a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mritk.draft import draft_of
from mritk.errors import StoreError


def write_whole(
    path: Path, content: bytes | memoryview, advice: str = "free some space, or write elsewhere"
) -> None:
    """Write a file under another name first, synced, then renamed.

    Args:
        path: The file.
        content: All of it.
        advice: What a person can do if it cannot be written.

    Raises:
        StoreError: It cannot be written; what stood at ``path`` before still does.
    """
    try:
        with open_whole(path) as stream:
            stream.write(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; {advice}") from error


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a stream into a file that stands at ``path`` once the block has ended without an error.

    Raises:
        OSError: It cannot be written; what stood at ``path`` before still does.
    """
    draft = draft_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last."""
    if os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
