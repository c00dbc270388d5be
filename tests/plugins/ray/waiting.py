"""Wait until something has come about."""

from __future__ import annotations

import time

PATIENCE_S = 60


def wait_until(reached):
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)
