"""Are the CUDA paths of training right, and how fast are they?

    python -m benchmarks.speed.gpu [--only PART] [--minutes N] [--device NAME] [--json FILE]

In order of importance, each part in less than 8 minutes:

checks    the tests marked ``gpu`` in tests/gpu: equal where they must be equal, close where they
          may round, within bounds of memory and of waiting
epoch     an epoch beside the bare steps, both by graphs
lanes     several trainings on one GPU, in lanes of one process
peers     an epoch beside those that torchvision's and timm's loaders feed
eager     an epoch beside the bare steps, operation by operation; deterministic too
compile   an epoch of a compiled network, its steps replayed by graphs
precision an epoch of a network with LayerNorm in bfloat16, with its norms so too and without
probe     linear probes: the pass that computes features, by graphs and without; the regressions
packing   several trainings on one GPU, in processes

A command ends after ``--minutes``, so choose parts by ``--only``, on a GPU of which nobody else
uses anything: what there is no time for is left out, what fails is told in a line, and both are in
the file, which is written after each step. Ends with 1 if a check fails or anything breaks, with 4
without a GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from benchmarks.speed.command_line import positive
from benchmarks.speed.gpu_checks import run_checks
from benchmarks.speed.gpu_lanes import side_by_side
from benchmarks.speed.gpu_packing import packed
from benchmarks.speed.gpu_probe import passed, solved
from benchmarks.speed.gpu_times import MAIN, Case, Times, write_many_pictures
from benchmarks.speed.ledger import Ledger, Row, Step
from benchmarks.speed.report import machine
from mritk import Workspace
from mritk.errors import MritkError
from mritk.machine.device import choose_device

PARTS = ("checks", "epoch", "lanes", "peers", "eager", "compile", "precision", "probe", "packing")
MINUTES = 8
LANES = {
    Case("efficientnet_lite0", "graphs", batch=16, size=96): (1, 2, 4, 8),
    Case("resnet18", "graphs", batch=16, size=96): (1, 8),
    Case("convnext_tiny", "graphs", batch=32): (1, 2, 4),
    Case("densenet121", "graphs", batch=32): (1, 2, 4),
}
PACKED = (Case("densenet121", batch=32), Case("efficientnet_lite0", batch=32, size=96))


def epoch_steps(times: Times) -> list[Step]:
    """Return the times of all engines, each a part; that of graphs is called ``epoch``."""
    parts = {
        "epoch": [
            *(Case(name, "graphs") for name in MAIN),
            *(Case(name, "graphs", batch=32) for name in MAIN),
        ],
        "eager": [
            *(Case(name, "eager") for name in MAIN),
            *(Case(name, deterministic=True) for name in ("resnet18", "densenet121")),
        ],
        "compile": [Case(name, "compile") for name in MAIN],
    }
    seconds = {"epoch": 30, "eager": 25, "compile": 110}
    return [
        Step(part, str(case), seconds[part], partial(times.epoch, case))
        for part, cases in parts.items()
        for case in cases
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

    cases = [Case(name, "graphs") for name in MAIN]
    return [Step("peers", str(case), 60, partial(run, case)) for case in cases]


def lane_steps(times: Times) -> list[Step]:
    """Return the times of several trainings side by side."""
    few = replace(times, images=2080, validation=64, repeats=1, rates={})
    return [
        Step("lanes", str(case), 45, partial(side_by_side, few, case, counts))
        for case, counts in LANES.items()
    ]


def packing_steps(device: str) -> list[Step]:
    """Return the times of several trainings on one GPU."""
    return [
        Step("packing", str(case), 45, partial(packed, case, images=2048, device=device))
        for case in PACKED
    ]


def precision_steps(times: Times) -> list[Step]:
    """Return the times of networks with LayerNorm, which takes float32 or bfloat16."""
    cases = [Case("convnext_tiny", "graphs", batch) for batch in (128, 32)]
    return [
        Step(
            *("precision", str(case), 60),
            partial(
                times.beside,
                replace(case, precision="bfloat16"),
                replace(case, precision="bfloat16_norms"),
            ),
        )
        for case in cases
    ]


def probe_steps(times: Times, device: str) -> list[Step]:
    """Return the times of feature passes and of logistic regressions."""
    passes = [
        Step("probe", f"features of {name}", 30, partial(passed, times, Case(name)))
        for name in ("efficientnet_lite0", "convnext_tiny")
    ]
    return passes + [
        Step("probe", f"{decades} decades", 15, partial(solved, decades, device=device))
        for decades in (1, 3, 6)
    ]


def time_steps(device: str, home: Path) -> list[Step]:
    """Return what is timed, in the order in which it matters if time is short."""
    times = Times(device, Workspace(home / "times"))
    steps = [*epoch_steps(times), *lane_steps(times), *peer_steps(times, home)]
    steps += [*precision_steps(times), *probe_steps(times, device), *packing_steps(device)]
    return sorted(steps, key=lambda step: PARTS.index(step.part))


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
    # torch reads it once, when it first multiplies matrices, and determinism needs it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    facts = {"command": "benchmarks.speed.gpu", **machine(device)}
    ledger = Ledger(facts, PARTS, seconds=60 * options.minutes, file=options.json)
    parts = options.only or PARTS
    if "checks" in parts:
        torch.cuda.set_device(device)
        run_checks(ledger)
    with tempfile.TemporaryDirectory() as home:
        for step in time_steps(device, Path(home)):
            if step.part in parts:
                ledger.run(step)
    ledger.show()
    return 1 if ledger.failed else 0


if __name__ == "__main__":
    sys.exit(main())
