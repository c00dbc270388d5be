"""One line of progress on stderr, for what takes longer than a moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_line() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that is told what is being done and the share of it that is done.

    Nothing is shown where nobody looks: without a terminal, or in continuous integration.
    """
    from tqdm import tqdm

    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield lambda what, share: None
        return
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
