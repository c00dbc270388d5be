"""What a whole study costs, from the command to the table.

    python -m benchmarks.speed.study [--case NAME] [--seeds N] [--jobs N] [--images N] [--size PX]
                                     [--batch N] [--epochs N] [--backbone ARCH] [--peer]
                                     [--repeats N] [--device NAME] [--json FILE]

``mritk run`` as it is typed, with empty caches, on JPEG files of 512 × 512 pixels:

networks  four backbones from random weights, at 224 px, batch 32, 4 epochs
small     eight seeds of one small network at 96 px, batch 16, 4 epochs
quick     the protocol ``quick`` with three backbones × three seeds
probe     the protocol ``linear_probe`` with four backbones × five seeds, their weights from files

``--images`` counts those for training; validation and test have a seventh of it each. ``in fit`` is
the sum of the seconds that trials trained, over those of the command: it passes 1 where trials
train side by side. ``GPU busy`` is the share of time in which the GPU computed anything, by
nvidia-smi. ``--peer`` runs timm's training script for each of the same networks and seeds, one
after the other, with one worker per core, channels last and, on a GPU, bfloat16.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.speed.command_line import positive
from benchmarks.speed.fresh_process import train_on_pictures, trial_seconds
from benchmarks.speed.gpu_busy import gpu_busy
from benchmarks.speed.gpu_times import MAIN
from benchmarks.speed.measurement import Sample, interleaved, median_seconds, progress, ratio
from benchmarks.speed.process import BEST, Contest, lay_out, write_protocol
from benchmarks.speed.report import Report, rounded
from mritk.machine.device import choose_device
from mritk.plugins.registry import Registry

MRITK, PEER = "mritk run", "timm, one by one"


@dataclass(frozen=True)
class Study:
    """What one command runs.

    Attributes:
        backbones: Their architectures.
        seeds: Of each.
        size: Side in pixels.
        batch: Of training.
        protocol: Its name, or None for a training of all layers.
    """

    backbones: tuple[str, ...]
    seeds: int
    size: int
    batch: int
    protocol: str | None = None


STUDIES = {
    "networks": Study(MAIN, 1, 224, 32),
    "small": Study(("efficientnet_lite0",), 8, 96, 16),
    "quick": Study(("efficientnet_lite0", "resnet18", "small_cnn"), 3, 96, 16, "quick"),
    "probe": Study(MAIN, 5, 224, 32, "linear_probe"),
}


class Sides:
    """One study by ``mritk run`` and by timm.

    Attributes:
        in_fit: Seconds that trials trained, a sample for each run.
        in_trials: Seconds that they trained and scored, likewise.
        busy: Share of time in which the GPU computed, for each run; None where nothing tells.
    """

    def __init__(
        self, study: Study, options: argparse.Namespace, device: str, folder: Path
    ) -> None:
        self._study, self._options, self._device, self._folder = study, options, device, folder
        self.in_fit: list[Sample] = []
        self.in_trials: list[Sample] = []
        self.busy: list[float | None] = []
        self._names = [self._named(backbone) for backbone in study.backbones]

    def run(self) -> None:
        """Run mritk with empty caches.

        Raises:
            ProcessFailed: A trial failed, or anything else.
        """
        study, size, jobs = self._study, self._options.size, self._options.jobs
        shutil.rmtree(self._folder / "home", ignore_errors=True)
        protocol = study.protocol or write_protocol(
            self._folder, study.size, study.batch, self._options.epochs
        )
        more = ["--jobs", jobs] if jobs else []
        if study.protocol and size:
            more += ["--vary", f"image_size={size}"]
        with gpu_busy(self._device) as gpu:
            trials = train_on_pictures(
                self._folder, self._names, protocol, study.seeds, self._device, *more
            )
        self.busy.append(gpu.share)
        if len(trials) != len(study.backbones) * study.seeds:
            raise SystemExit(f"{len(trials)} trials in {self._folder / 'results'}")
        self.in_fit.append(Sample(sum(trial.cost["seconds_fit"] for trial in trials), 0.0))
        self.in_trials.append(Sample(trial_seconds(trials), 0.0))

    def peer(self) -> None:
        """Run timm's script for each trial.

        Raises:
            ProcessFailed: One of them failed.
        """
        study = self._study
        options = argparse.Namespace(batch=study.batch, epochs=self._options.epochs)
        for backbone in study.backbones * study.seeds:
            contest = Contest(backbone, study.size, options, self._device, self._folder)
            contest.sides()[BEST]()

    def _named(self, backbone: str) -> str:
        """Return the name of a backbone; from random weights each seed has other features."""
        if self._study.protocol != "linear_probe":
            return f"{backbone}@scratch"
        path = self._folder / f"{backbone}.pt"
        torch.manual_seed(0)
        network = Registry.load(environ={}).backbone(f"{backbone}@scratch").architecture.build()
        torch.save(network.state_dict(), path)
        return f"{backbone}@file:{path}"


def chosen(name: str, options: argparse.Namespace) -> Study:
    """Return a study with what the options change in it."""
    known = STUDIES[name]
    return Study(
        tuple(options.backbone or known.backbones),
        options.seeds or known.seeds,
        options.size or known.size,
        options.batch or known.batch,
        known.protocol,
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--case", action="append", choices=STUDIES, help="leave out the others; repeat")
    add("--backbone", action="append", metavar="ARCH", help="instead of those of the case; repeat")
    add("--seeds", type=positive, metavar="N", help="default: that of the case")
    add("--size", type=positive, metavar="PX", help="side; default: that of the case")
    add("--batch", type=positive, metavar="N", help="of networks and small; default: 32 and 16")
    add("--epochs", type=positive, default=4, metavar="N", help="of networks, small; default: 4")
    add("--images", type=positive, default=2086, metavar="N", help="of training; default: 2086")
    add("--jobs", metavar="N", help="as of mritk run")
    add("--peer", action="store_true", help="run timm's script beside networks and small")
    add("--repeats", type=positive, default=1, metavar="N", help="default: 1")
    add("--device", default="cpu", help="auto, cpu, cuda or cuda:N; default: cpu")
    add("--json", type=Path, metavar="FILE", help="write rows and raw seconds here")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    report = Report("benchmarks.speed.study", options, device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, options.images, 2 * max(4, options.images // 7))
        for case in options.case or STUDIES:
            progress(case)
            study = chosen(case, options)
            sides = Sides(study, options, device, folder)
            runs = {MRITK: sides.run}
            if options.peer and not study.protocol:
                runs[PEER] = sides.peer
            samples = interleaved(runs, options.repeats, warm_up=False)
            add_row(report, case, study, sides, samples)
    report.show()
    return 0


def add_row(
    report: Report, case: str, study: Study, sides: Sides, samples: dict[str, list[Sample]]
) -> None:
    """Add the row of one study."""
    whole, trials = samples[MRITK], len(study.backbones) * study.seeds
    busy = [share for share in sides.busy if share is not None]
    peer = samples.get(PEER)
    report.add(
        {
            "case": case,
            "backbones": len(study.backbones),
            "seeds": study.seeds,
            "px": study.size,
            "whole, s": rounded(median_seconds(whole)),
            "s per trial": rounded(median_seconds(sides.in_trials) / trials),
            "in fit": rounded(ratio(sides.in_fit, whole)),
            "GPU busy": rounded(statistics.median(busy)) if busy else None,
            "timm, s": rounded(median_seconds(peer)) if peer else None,
            "timm / mritk": rounded(ratio(peer, whole)) if peer else None,
        },
        whole=whole,
        in_fit=sides.in_fit,
        in_trials=sides.in_trials,
        **({"peer": peer} if peer else {}),
    )


if __name__ == "__main__":
    sys.exit(main())
