"""What 5 folds × 5 seeds of a linear probe cost, against one pass of the images.

    python -m benchmarks.speed.probe [--backbone ARCH] [--size PX] [--images N] [--seeds N]
                                     [--repeats N] [--json FILE]

One ``mritk run`` with empty caches against ``benchmarks.speed.feature_pass``, in turns, on the same
JPEG files and weights. ``processes`` compares the two from start to end, with imports and decoding
(and, in mritk, the audit) on both sides; ``passes`` compares what the trial files give as time for
training and scoring, summed over all trials, with the forward pass alone.

The weights are random and come from a file: from random weights without one, each seed would have
a network of its own, and features of its own.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.speed.command_line import chosen_cases, command_line, positive
from benchmarks.speed.fresh_process import run_for_facts, train_on_pictures, trial_seconds
from benchmarks.speed.measurement import Sample, interleaved, median_seconds, progress, ratio
from benchmarks.speed.pictures import write_pictures
from benchmarks.speed.report import Report, rounded, verdict
from mritk.machine.device import choose_device
from mritk.plugins.registry import Registry

CASES = [("efficientnet_lite0", 224), ("resnet18", 224), ("convnext_tiny", 224)]
FOLDS, GOAL = 5, 1.3

PROTOCOL = """
method = "linear_probe"
image_size = {size}
augmentation = "none"

[split]
scheme = "kfold"
folds = {folds}
"""


class Probes:
    """All probes of one backbone and size, and their floor, as calls.

    Attributes:
        trials: Number of trials of the last run.
        in_trials: Seconds in trials, a sample for each run; likewise ``forward`` of the floor.
    """

    def __init__(self, backbone: str, size: int, seeds: int, device: str, folder: Path) -> None:
        self._backbone, self._size, self._seeds, self._device = backbone, size, seeds, device
        self._folder, self._weights = folder, folder / f"{backbone}.pt"
        torch.manual_seed(0)
        network = Registry.load(environ={}).backbone(f"{backbone}@scratch").architecture.build()
        torch.save(network.state_dict(), self._weights)
        self.trials = 0
        self.in_trials: list[Sample] = []
        self.forward: list[Sample] = []

    def run(self) -> None:
        """Run mritk with empty caches."""
        shutil.rmtree(self._folder / "home", ignore_errors=True)
        protocol = self._folder / "probe.toml"
        protocol.write_text(PROTOCOL.format(size=self._size, folds=FOLDS), encoding="utf-8")
        names = [f"{self._backbone}@file:{self._weights}"]
        trials = train_on_pictures(self._folder, names, protocol, self._seeds, self._device)
        self.trials = len(trials)
        self.in_trials.append(Sample(trial_seconds(trials), 0.0))

    def floor(self) -> None:
        """Compute the features once."""
        facts = run_for_facts(
            [
                *("-m", "benchmarks.speed.feature_pass", self._folder / "pictures"),
                *("--backbone", self._backbone, "--weights", self._weights),
                *("--size", self._size, "--device", self._device),
                *("--output", self._folder / "features.npy"),
            ]
        )
        self.forward.append(Sample(facts["forward_seconds"], 0.0))


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = command_line(
        __doc__ or "",
        cases="Default: efficientnet_lite0, resnet18 and convnext_tiny at 224 px.",
        images=600,
    )
    parser.add_argument("--seeds", type=positive, default=5, metavar="N", help="default: 5")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    report = Report("benchmarks.speed.probe", options, device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder / "pictures", {"": options.images})
        for backbone, size in chosen_cases(options, CASES):
            progress(f"{backbone}, {size} px")
            probes = Probes(backbone, size, options.seeds, device, folder)
            cases = {"mritk": probes.run, "feature pass": probes.floor}
            samples = interleaved(cases, options.repeats, warm_up=False)
            add_row(report, probes, samples, (backbone, size), options)
    report.show()
    return 0


def add_row(
    report: Report,
    probes: Probes,
    samples: dict[str, list[Sample]],
    case: tuple[str, int],
    options: argparse.Namespace,
) -> None:
    """Add the row of one backbone and size."""
    mritk, floor = samples["mritk"], samples["feature pass"]
    processes, passes = ratio(mritk, floor), ratio(probes.in_trials, probes.forward)
    report.add(
        {
            "backbone": case[0],
            "px": case[1],
            "images": options.images,
            "trials": probes.trials,
            "feature pass, s": rounded(median_seconds(floor)),
            "mritk, s": rounded(median_seconds(mritk)),
            "ratio of processes": round(processes, 3),
            "forward pass alone, s": rounded(median_seconds(probes.forward)),
            "in trials, s": rounded(median_seconds(probes.in_trials)),
            "ratio of passes": round(passes, 3),
            "goal": verdict(processes, at_most=GOAL),
        },
        mritk=mritk,
        feature_pass=floor,
        in_trials=probes.in_trials,
        forward=probes.forward,
    )


if __name__ == "__main__":
    sys.exit(main())
