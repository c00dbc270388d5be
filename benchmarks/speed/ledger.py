"""Steps run one after the other within bounds of time, and what became of each."""

from __future__ import annotations

import gc
import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from benchmarks.speed.measurement import progress

# A step is ended when it has taken so many times what it should.
PATIENCE = 2.5
Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """Something to be timed.

    Attributes:
        part: To which part of the ledger it belongs.
        name: What it is.
        seconds: What it should take on an H200.
        run: Returns a row.
    """

    part: str
    name: str
    seconds: int
    run: Callable[[], Row]


class TooLong(BaseException):
    """A step took longer than it may; no handler of errors keeps it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise :class:`TooLong` after so many seconds, where the system has alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise TooLong(f"it took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Ledger:
    """Runs steps one after the other, and writes down what became of each.

    Attributes:
        content: What the file holds.
        failed: Whether a check failed or anything broke.
    """

    def __init__(
        self, facts: Row, parts: Sequence[str], *, seconds: float, file: Path | None = None
    ) -> None:
        self._end, self._file = time.monotonic() + seconds, file
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._parts = parts
        self.content: Row = {**facts, "date": now, **{part: [] for part in parts}}
        self.content |= {"left out": [], "broken": []}
        self.failed = False

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    def run(self, step: Step) -> None:
        """Run a step if there is time for it."""
        left = self.left
        if left < step.seconds:
            why = f"it takes {step.seconds} s, and {left:.0f} s are left"
            self.note("left out", step.part, step.name, why)
            return
        try:
            with at_most(min(left, PATIENCE * step.seconds)):
                row = step.run()
        except (Exception, SystemExit, TooLong) as error:
            self.note("broken", step.part, step.name, _in_a_line(error))
        else:
            self.add(step.part, step.name, row)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def add(self, part: str, name: str, row: Row) -> None:
        """Write down what came of a step; a check that is not ``ok`` has failed."""
        self.content[part].append({"name": name, **row})
        self.failed |= row.get("ok") is False
        shown = ", ".join(f"{k}: {v}" for k, v in row.items() if k != "samples")
        progress(f"{part}: {name}: {shown}")
        self._write()

    def note(self, kind: str, part: str, name: str, why: str) -> None:
        """Write down that a step was ``left out``, or is ``broken``."""
        self.content[kind].append({"part": part, "name": name, "why": why})
        self.failed |= kind == "broken"
        progress(f"{part}: {name}: {kind}: {why}")
        self._write()

    def show(self) -> None:
        """Print a table for each part, and what is not in them."""
        for part in self._parts:
            if rows := self.content[part]:
                shown = [{k: v for k, v in row.items() if k != "samples"} for row in rows]
                print(f"\n{part}\n\n{tabulate(shown, headers='keys', tablefmt='github')}")
        for kind in ("left out", "broken"):
            for entry in self.content[kind]:
                print(f"{kind}: {entry['part']}: {entry['name']}: {entry['why']}")

    def _write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps(self.content, indent=2), encoding="utf-8")


def _in_a_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
