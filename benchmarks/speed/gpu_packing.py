"""Several trainings on one GPU, each in a process of its own.

    python -m benchmarks.speed.gpu_packing --backbone ARCH --size PX --batch N --images N
                                           [--engine NAME] [--device NAME]

is one of them: it trains an epoch, says so in a line, and waits for a line before the next.
:func:`packed` starts several and lets them train alone and at once, in turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.speed.command_line import positive
from benchmarks.speed.epoch import ENGINES
from benchmarks.speed.fresh_process import ROOT, ProcessFailed
from benchmarks.speed.gpu_times import Case, Times
from benchmarks.speed.measurement import interleaved, median_seconds, ratio
from benchmarks.speed.report import rounded
from mritk import Workspace
from mritk.machine.device import choose_device
from mritk.method import Epoch
from mritk.train.loop import finetune

EPOCHS = 10_000


class _Enough(BaseException):
    """Nobody asks for a further epoch."""


@dataclass
class Worker:
    """A training in another process."""

    process: subprocess.Popen[str]

    def begin(self) -> None:
        """Let it train an epoch."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        """Wait until it has trained the epoch.

        Raises:
            ProcessFailed: It ended.
        """
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            assert self.process.stderr is not None
            last = self.process.stderr.read().strip().splitlines()[-1:]
            raise ProcessFailed(f"a training beside others ended: {''.join(last)}")


@contextmanager
def worker(case: Case, images: int, device: str) -> Iterator[Worker]:
    """Start a training and end it afterwards."""
    options = {
        "--backbone": case.backbone,
        "--size": case.size,
        "--batch": case.batch,
        "--engine": case.engine,
        "--images": images,
        "--device": device,
    }
    words = [str(word) for pair in options.items() for word in pair]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.speed.gpu_packing", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:  # and wait for its end
        try:
            yield Worker(process)
        finally:
            process.kill()


def packed(case: Case, *, images: int, device: str, count: int = 2, repeats: int = 3) -> Any:
    """Return images/s of one training alone, and of ``count`` at once.

    Raises:
        ProcessFailed: One of them ended.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(case, images, device)) for _ in range(count)]
        for one in workers:  # the first epoch, with all that comes before it
            one.wait()

        def train(several: list[Worker]) -> None:
            for one in several:
                one.begin()
            for one in several:
                one.wait()

        samples = interleaved(
            {"alone": lambda: train(workers[:1]), "at once": lambda: train(workers)}, repeats
        )
    steps = images // case.batch * case.batch
    gain = count / ratio(samples["at once"], samples["alone"])
    return {
        **case.columns,
        "trainings": count,
        "alone, images/s": round(steps / median_seconds(samples["alone"])),
        "at once, images/s in all": round(count * steps / median_seconds(samples["at once"])),
        "gain": rounded(gain),
        "samples": {name: [sample.seconds for sample in of] for name, of in samples.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Train an epoch for each line of the standard input, after a first one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--backbone", required=True, metavar="ARCH")
    add("--size", type=positive, required=True, metavar="PX")
    add("--batch", type=positive, required=True, metavar="N")
    add("--images", type=positive, required=True, metavar="N")
    add("--engine", default="eager", choices=ENGINES)
    add("--device", default="auto")
    options = parser.parse_args(arguments)
    case = Case(options.backbone, options.engine, options.batch, size=options.size)

    def after_epoch(epoch: Epoch) -> None:
        print(epoch.epoch, flush=True)
        if not sys.stdin.readline():
            raise _Enough

    with tempfile.TemporaryDirectory() as home:
        times = Times(choose_device(options.device), Workspace(Path(home)), options.images, 64)
        with suppress(_Enough):
            finetune(replace(times.setup(case, EPOCHS), on_epoch=after_epoch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
