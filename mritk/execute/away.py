"""A results folder that is gone for a while, such as one on a network disk.

What a trial has cost hours to train is held in memory meanwhile.
"""

from __future__ import annotations

import logging
import time

from mritk.store.folder import ResultsFolder

logger = logging.getLogger("mritk")

# Seconds to wait for a folder. What is deleted for good is created anew behind that.
PATIENCE_S = 600.0
LOOK_S = 1.0


def wait_for(results: ResultsFolder) -> bool:
    """Wait until a results folder that was there is there again; tell about it once.

    Returns:
        Whether it is; otherwise it is gone for good.
    """
    if results.is_there():
        return True
    logger.warning(
        "results folder %s has disappeared; waiting up to %.0f min for it to return (what is "
        "trained is kept in memory)",
        results.path,
        PATIENCE_S / 60,
    )
    until = time.monotonic() + PATIENCE_S
    while not results.is_there() and time.monotonic() < until:
        time.sleep(LOOK_S)
    return results.is_there()
