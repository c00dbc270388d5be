"""A results folder that is gone for a while, such as one on a network disk.

What a trial has cost hours to train is held in memory meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import TypeVar

from mritk.errors import StoreError, Unavailable
from mritk.files.results_names import TRIALS
from mritk.store.folder import ResultsFolder

logger = logging.getLogger("mritk")

# Seconds to wait for a folder. What is deleted for good is created anew behind that.
PATIENCE_S = 600.0
LOOK_S = 1.0

T = TypeVar("T")


def wait_for(results: ResultsFolder) -> bool:
    """Wait until a results folder that was there is there again; tell about it once.

    Returns:
        Whether it is; otherwise it is gone for good, and is created anew.
    """
    if results.is_there():
        return True
    logger.warning(
        "results folder %s has disappeared; waiting up to %.0f min for it to return (what is "
        "trained is kept in memory)",
        results.path,
        PATIENCE_S / 60,
    )
    until = monotonic() + PATIENCE_S
    while not results.is_there() and monotonic() < until:
        sleep(LOOK_S)
    if results.is_there():
        return True
    with suppress(OSError):  # whoever writes there is told
        (results.path / TRIALS).mkdir(parents=True, exist_ok=True)
    return False


def when_there(results: ResultsFolder, write: Callable[[], T]) -> T:
    """Write into a results folder once it is there, again if it disappears meanwhile.

    Args:
        results: The folder, which was there before.
        write: Called to write into it; must not create it.

    Returns:
        What ``write`` returns.

    Raises:
        StoreError: It cannot be written.
        Unavailable: It cannot be listed.
    """
    refused = False
    while True:
        is_back = wait_for(results)
        try:
            written = write()
        except (StoreError, Unavailable, OSError):
            # It may have been away for a moment: what is refused twice is refused.
            if not is_back or (refused and results.is_there()):
                raise
            refused = True
            continue
        if not is_back or results.is_there():  # not beneath the place of a disk that was gone
            return written
