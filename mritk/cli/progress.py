"""Progress on stderr while data are prepared: a bar at a terminal, otherwise a line a minute."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mritk.cli.tell import say

MINUTE = 60.0


@contextmanager
def progress_line() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that is told what is being done and the share of it that is done."""
    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield _each_minute()
        return
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    bars: dict[str, tqdm[None]] = {}

    def show(what: str, share: float) -> None:
        if what not in bars:
            for earlier in bars.values():
                earlier.close()
            bars[what] = tqdm(total=1.0, desc=what, delay=1.0, leave=False, bar_format=form)
        bars[what].update(share - bars[what].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def _each_minute() -> Callable[[str, float], None]:
    """Return a function that says what it is told once a minute, for the first time after one."""
    told = time.monotonic()

    def show(what: str, share: float) -> None:
        nonlocal told
        if (now := time.monotonic()) >= told + MINUTE:
            told = now
            say(f"{what}: {share:.0%}")

    return show
