"""Are the CUDA paths of training right, and how fast are they?

    python -m benchmarks.speed.gpu [--only PART] [--minutes N] [--device NAME] [--json FILE]

Checks: equal where they must be equal, close where they may round, within bounds of memory and of
waiting. Times: an epoch beside the bare steps, by each engine; beside torchvision's and timm's
loaders; several trainings on one GPU. Everything in a process of 8 minutes at most, on a GPU of
which nobody else uses anything: what there is no time for is left out, what fails is told in a
line, and both are in the file, which is written after each step. Ends with 1 if a check fails or
anything breaks, with 4 without a GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from benchmarks.speed.command_line import positive
from benchmarks.speed.gpu_bounds import BOUNDS, MEMORY
from benchmarks.speed.gpu_checks import EXACTNESS, LAST, Check
from benchmarks.speed.gpu_measured import MEASURED
from benchmarks.speed.gpu_packing import packed
from benchmarks.speed.gpu_scene import Scene
from benchmarks.speed.gpu_times import MAIN, Case, Times, write_many_pictures
from benchmarks.speed.measurement import progress
from benchmarks.speed.report import machine
from mritk import Workspace
from mritk.errors import MritkError
from mritk.machine.device import choose_device

PARTS = ("checks", "epoch", "peers", "packing")
MINUTES = 8
# A step is ended when it has taken so many times what it should.
PATIENCE = 2.5
PACKED = (Case("densenet121", batch=32), Case("efficientnet_lite0", batch=32, size=96))
Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """Something to be checked or timed.

    Attributes:
        part: To which of :data:`PARTS` it belongs.
        name: What it is.
        seconds: What it should take on an H200.
        run: Returns a row; that of a check has ``ok``.
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

    def __init__(self, facts: Row, *, seconds: float, file: Path | None = None) -> None:
        self._end, self._file = time.monotonic() + seconds, file
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        rows: Row = {part: [] for part in PARTS}
        self.content: Row = {"command": "benchmarks.speed.gpu", "date": now, **facts, **rows}
        self.content |= {"left out": [], "broken": []}
        self.failed = False

    def run(self, step: Step) -> None:
        """Run a step if there is time for it."""
        left, began = self._end - time.monotonic(), time.monotonic()
        if left < step.seconds:
            self._note("left out", step, f"it takes {step.seconds} s, and {left:.0f} s are left")
        else:
            try:
                with at_most(min(left, PATIENCE * step.seconds)):
                    row = step.run()
            except (Exception, SystemExit, TooLong) as error:
                self._note("broken", step, _in_a_line(error))
                self.failed = True
            else:
                self.content[step.part].append({"name": step.name, **row})
                self.failed |= row.get("ok") is False
                self._tell(step, row, time.monotonic() - began)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._write()

    def show(self) -> None:
        """Print a table for each part, and what is not in them."""
        for part in PARTS:
            if rows := self.content[part]:
                shown = [{k: v for k, v in row.items() if k != "samples"} for row in rows]
                print(f"\n{part}\n\n{tabulate(shown, headers='keys', tablefmt='github')}")
        for kind in ("left out", "broken"):
            for entry in self.content[kind]:
                print(f"{kind}: {entry['part']}: {entry['name']}: {entry['why']}")

    def _note(self, kind: str, step: Step, why: str) -> None:
        self.content[kind].append({"part": step.part, "name": step.name, "why": why})
        progress(f"{step.part}: {step.name}: {kind}: {why}")

    def _tell(self, step: Step, row: Row, seconds: float) -> None:
        shown = ", ".join(f"{k}: {v}" for k, v in row.items() if k != "samples")
        progress(f"{step.part}: {step.name}: {shown} ({seconds:.0f} s)")

    def _write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps(self.content, indent=2), encoding="utf-8")


def _in_a_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def check_steps(checks: Sequence[tuple[str, int, Check]], scene: Scene) -> list[Step]:
    """Return checks of a scene as steps."""

    def run(check: Check) -> Row:
        return asdict(check(scene))

    return [Step("checks", name, took, partial(run, check)) for name, took, check in checks]


def epoch_steps(times: Times) -> list[Step]:
    """Return the times of all engines; what is compiled comes last, because it may take long."""
    cases = [
        *(Case(name, engine) for engine in ("eager", "graphs") for name in MAIN),
        *(Case(name, "graphs", batch=32) for name in MAIN),
        *(Case(name, deterministic=True) for name in ("resnet18", "densenet121")),
        *(Case(name, "compile") for name in MAIN),
    ]
    seconds = {"eager": 18, "graphs": 18, "compile": 50}
    return [
        Step("epoch", str(case), seconds[case.engine], partial(times.epoch, case)) for case in cases
    ]


def peer_steps(times: Times, home: Path) -> list[Step]:
    """Return the times beside other libraries' loaders."""
    once = replace(times, repeats=1, rates={})

    @lru_cache(maxsize=1)
    def folder() -> Path:
        write_many_pictures(home / "pictures", times.images)
        return home / "pictures"

    def run(case: Case) -> Row:
        return once.beside_peers(case, folder(), os.cpu_count() or 1)

    return [Step("peers", str(case), 30, partial(run, case)) for case in map(Case, MAIN)]


def packing_steps(device: str) -> list[Step]:
    """Return the times of several trainings on one GPU."""
    return [
        Step("packing", str(case), 45, partial(packed, case, images=2048, device=device))
        for case in PACKED
    ]


def all_steps(device: str, home: Path) -> list[Step]:
    """Return everything, in the order in which it matters if time is short."""
    scene = Scene(device, Workspace(home / "small"))
    roomy = Scene(device, Workspace(home / "roomy"), size=224, images=512, batch=64)
    times = Times(device, Workspace(home / "times"))
    epochs = epoch_steps(times)
    first = [step for step in epochs if "compile" not in step.name]
    return [
        *check_steps(EXACTNESS + BOUNDS + MEASURED, scene),
        *check_steps(MEMORY, roomy),
        *first,
        *peer_steps(times, home),
        *packing_steps(device),
        *check_steps(LAST, scene),
        *(step for step in epochs if step not in first),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Check and time; return 0, 1 if something is wrong, 4 without a GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--only", action="append", choices=PARTS, help="this part alone; repeat")
    add("--minutes", type=positive, default=MINUTES, metavar="N", help=f"default: {MINUTES}")
    add("--device", default="cuda", help="cuda or cuda:N; default: cuda")
    add("--json", type=Path, metavar="FILE", help="write rows and raw seconds here")
    options = parser.parse_args(arguments)
    try:
        device = choose_device(options.device)
    except MritkError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if device == "cpu":
        print("these are the paths of a GPU; use --device cuda", file=sys.stderr)
        return 4
    # torch reads it once, when it first multiplies matrices, and the checks need it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    ledger = Ledger(machine(device), seconds=60 * options.minutes, file=options.json)
    with tempfile.TemporaryDirectory() as home:
        for step in all_steps(device, Path(home)):
            if step.part in (options.only or PARTS):
                ledger.run(step)
    ledger.show()
    return 1 if ledger.failed else 0


if __name__ == "__main__":
    sys.exit(main())
