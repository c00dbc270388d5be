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
def locked(
    lock: Path, doing: str, *, wait: bool = True, patience: float | None = None
) -> Iterator[bool]:
    """Hold a lock between processes and threads; yield False if another one holds it.

    The operating system releases the lock when the process ends, however it ends. On file
    systems without locks, such as some network file systems, there is no waiting.

    Args:
        lock: The lock file; it remains, empty.
        doing: What the holder does, for the waiting message: ``unpacks a.zip``.
        wait: Wait until the lock is released, so the result is never False.
        patience: Seconds before the message; None: 1.5.
    """
    from filelock import FileLock, Timeout

    # A lock that ends with its process, not a mark in a file that would outlive it.
    held = FileLock(lock, fallback_to_soft=False)
    try:
        held.acquire(timeout=PATIENCE_S if patience is None else patience)
    except Timeout:
        if not wait:
            yield False
            return
        logger.warning("waiting for another process that %s (lock: %s)", doing, lock)
        held.acquire()
    except (OSError, NotImplementedError):
        yield True
        return
    try:
        yield True
    finally:
        held.release()
