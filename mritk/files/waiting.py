"""Wait for what another process does with a file, and say so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger("mritk")

# A person who waits longer than this wants to know for what.
PATIENCE_S = 1.5


@contextmanager
def locked(lock: Path, doing: str) -> Iterator[None]:
    """Hold a lock between processes and threads.

    Args:
        lock: The file that is locked; it stays, empty.
        doing: What the holder does, for the line that says what is waited for: ``unpacks a.zip``.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    try:
        held.acquire(timeout=PATIENCE_S)
    except Timeout:
        logger.warning("waiting for another process that %s (lock: %s)", doing, lock)
        held.acquire()
    try:
        yield
    finally:
        held.release()
