"""What a whole training costs, from the start of the process to its results.

    python -m benchmarks.speed.process [--backbone ARCH] [--size PX] [--batch N] [--images N]
                                       [--epochs N] [--side NAME] [--repeats N] [--json FILE]

Imports, decoding, two epochs of full fine-tuning, evaluation and results, on JPEG files of
512 × 512 pixels, of which five sixths are for training. Sides, in turns, each a process of its own:

- ``timm, defaults``: timm as its train.py runs by default (4 workers, contiguous memory order);
- ``timm, best``: its best options: one worker per core, channels last, and bfloat16 on a GPU;
- ``torchvision, 0 workers`` and ``torchvision, N workers``: ImageFolder, DataLoader, v2 transforms;
- ``mritk, cold`` and ``mritk, warm``: ``mritk run`` with empty caches, and once more with them.

All sides train one network from random weights with AdamW in the same number of steps (the table
counts them) on the same files, which the system has in memory. Augmentations are alike, not equal:
crop, flip and jitter there, affine and jitter here. The others validate on all other images
after each epoch. mritk does so on half of them, predicts these once more at the end, tests on the
other half, and searches everything for copies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.command_line import chosen_cases, command_line
from benchmarks.speed.fresh_process import run_for_facts, train_on_pictures
from benchmarks.speed.measurement import (
    Sample,
    interleaved,
    median_cpu_seconds,
    median_seconds,
    progress,
    ratio,
)
from benchmarks.speed.pictures import link_parts, write_pictures
from benchmarks.speed.report import Report, rounded, verdict
from mritk.machine.device import choose_device

CASES = [("efficientnet_lite0", 224), ("efficientnet_lite0", 128), ("resnet18", 128)]
# How many times as long as mritk (cold) timm takes with its defaults and with its best options.
GOALS = {
    ("efficientnet_lite0", 224): {"timm, defaults": 3.2, "timm, best": 1.7},
    ("efficientnet_lite0", 128): {"timm, defaults": 1.9, "timm, best": 1.3},
    ("resnet18", 128): {"timm, defaults": 1.25, "timm, best": 1.25},
}
# timm's names of the networks that stand behind mritk's.
TIMM_NAMES = {
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "efficientnetv2_s": "tf_efficientnetv2_s",
}
PEERS = Path(__file__).parent / "peers"
BEST, COLD, WARM = "timm, best", "mritk, cold", "mritk, warm"

PROTOCOL = """
method = "finetune"
image_size = {size}
augmentation = "affine"

[parameters]
batch_size = {batch}
label_smoothing = 0.1

[[parameters.stages]]
name = "all"
epochs = {epochs}
learning_rate = 1e-3
"""


def write_protocol(folder: Path, size: int, batch: int, epochs: int) -> Path:
    """Write the protocol of a training, and return its path."""
    path = folder / "protocol.toml"
    text = PROTOCOL.format(size=size, batch=batch, epochs=epochs)
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class Contest:
    """One network and size; its sides can be called.

    Attributes:
        folder: Where everything is written; holds ``pictures`` and ``peers``.
        facts: For each side, the numbers of its last run.
    """

    backbone: str
    size: int
    options: argparse.Namespace
    device: str
    folder: Path
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sides(self) -> dict[str, Callable[[], None]]:
        """Return all sides by name."""
        cores = os.cpu_count() or 1
        half = ["--amp"] if self.device.startswith("cuda") else []
        best = ["--workers", cores, "--channels-last", *half]
        peers: dict[str, tuple[str, list[object]]] = {
            "timm, defaults": ("timm_train.py", []),
            BEST: ("timm_train.py", best),
            "torchvision, 0 workers": ("torchvision_train.py", ["--workers", 0, *half]),
            f"torchvision, {cores} workers": ("torchvision_train.py", ["--workers", cores, *half]),
        }
        found: dict[str, Callable[[], None]] = {
            name: partial(self.peer, name, script, arguments)
            for name, (script, arguments) in peers.items()
        }
        return found | {COLD: self.mritk_cold, WARM: self.mritk_warm}

    def peer(self, name: str, script: str, arguments: list[object]) -> None:
        """Run a peer's program."""
        output = self.folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        self.facts[name] = run_for_facts(
            [
                PEERS / script,
                self.folder / "peers",
                *("--model", TIMM_NAMES.get(self.backbone, self.backbone)),
                *("--size", self.size, "--batch", self.options.batch),
                *("--epochs", self.options.epochs, "--device", self.device, "--output", output),
                *arguments,
            ]
        )

    def mritk_cold(self) -> None:
        """Run mritk with empty caches."""
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        self._mritk(COLD)

    def mritk_warm(self) -> None:
        """Run mritk with the caches of the run before."""
        self._mritk(WARM)

    def _mritk(self, name: str) -> None:
        protocol = write_protocol(self.folder, self.size, self.options.batch, self.options.epochs)
        names = [f"{self.backbone}@scratch"]
        (trial,) = train_on_pictures(self.folder, names, protocol, 1, self.device)
        epochs, images = len(trial.history), len(trial.splits["train"])
        steps = images // self.options.batch
        seen = len(trial.splits["val"]) * (epochs + 1) + len(trial.splits["test"])
        trained = epochs * steps * self.options.batch
        self.facts[name] = {"steps": epochs * steps, "trained": trained, "validated": seen}


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = command_line(
        __doc__ or "",
        cases="Default: efficientnet_lite0 at 224 and 128 px, resnet18 at 128 px.",
        images=600,
    )
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--side", action="append", metavar="NAME", help="leave out the others")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    report = Report("benchmarks.speed.process", options, device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held_out = options.images // 6
        lay_out(folder, options.images - held_out, held_out)
        for backbone, size in chosen_cases(options, CASES):
            progress(f"{backbone}, {size} px")
            contest = Contest(backbone, size, options, device, folder)
            sides = contest.sides()
            if options.side:
                if unknown := set(options.side) - set(sides):
                    parser.error(f"no side {unknown.pop()!r}; there are: {'; '.join(sides)}")
                sides = {side: run for side, run in sides.items() if side in options.side}
            samples = interleaved(sides, options.repeats, warm_up=False)
            add_rows(report, contest, samples)
    report.show()
    return 0


def lay_out(folder: Path, training: int, held_out: int) -> None:
    """Write the pictures once, as mritk reads them and, linked, as the others do."""
    parts = {
        "Training": training,
        "Validation": held_out // 2,
        "Testing": held_out - held_out // 2,
    }
    write_pictures(folder / "pictures", parts)
    wanted = {"train": ("Training",), "val": ("Validation", "Testing")}
    link_parts(folder / "pictures", folder / "peers", wanted)


def add_rows(report: Report, contest: Contest, samples: dict[str, list[Sample]]) -> None:
    """Add one row for each side."""
    goals = GOALS.get((contest.backbone, contest.size), {})
    for side, own in samples.items():
        over = {base: ratio(own, samples[base]) for base in (COLD, WARM) if base in samples}
        goal = verdict(over[COLD], at_least=goals.get(side)) if COLD in over else ""
        report.add(
            {
                "backbone": contest.backbone,
                "px": contest.size,
                "side": side,
                "steps": contest.facts[side]["steps"],
                "images trained": contest.facts[side]["trained"],
                "images scored": contest.facts[side]["validated"],
                "seconds": rounded(median_seconds(own)),
                "CPU seconds": rounded(median_cpu_seconds(own)),
                "× mritk, cold": round(over[COLD], 2) if COLD in over else None,
                "× mritk, warm": round(over[WARM], 2) if WARM in over else None,
                "goal": goal,
            },
            whole=own,
        )


if __name__ == "__main__":
    sys.exit(main())
