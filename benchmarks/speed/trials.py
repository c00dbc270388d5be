"""What ten trials in one ``mritk run`` cost, against ten times one trial and one start.

    python -m benchmarks.speed.trials [--backbone ARCH] [--size PX] [--batch N] [--images N]
                                      [--trials N] [--epochs N] [--repeats N] [--json FILE]

A run with one seed and a run with ten, in turns, each a process of its own with decoded images in
its cache and an empty results folder. Of the first, the trial file tells how long the trial trained
and scored; the rest is its start (imports, reading the caches, the plan) and its end. ``expected``
is that run and nine more such trials.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.speed.command_line import chosen_cases, command_line, positive
from benchmarks.speed.fresh_process import train_on_pictures, trial_seconds
from benchmarks.speed.measurement import Sample, interleaved, median_seconds, progress, ratio
from benchmarks.speed.pictures import write_pictures
from benchmarks.speed.process import write_protocol
from benchmarks.speed.report import Report, rounded, verdict
from mritk.machine.device import choose_device

CASES = [("efficientnet_lite0", 128), ("resnet18", 128)]
GOAL = 1.02


class Runs:
    """Runs of one backbone and size with any number of seeds.

    Attributes:
        in_trials: For each number of seeds, the seconds in trials, a sample for each run.
    """

    def __init__(
        self, backbone: str, size: int, options: argparse.Namespace, device: str, folder: Path
    ) -> None:
        self._backbone, self._device, self._folder = backbone, device, folder
        self._protocol = write_protocol(folder, size, options.batch, options.epochs)
        self.in_trials: dict[int, list[Sample]] = {}

    def run(self, seeds: int) -> None:
        """Train with the seeds from 0."""
        names = [f"{self._backbone}@scratch"]
        trials = train_on_pictures(self._folder, names, self._protocol, seeds, self._device)
        self.in_trials.setdefault(seeds, []).append(Sample(trial_seconds(trials), 0.0))


def expected(one: list[Sample], in_one: list[Sample], trials: int) -> list[Sample]:
    """Return what so many trials should take: one run, and its trial so many times less once.

    Args:
        one: Runs with one trial.
        in_one: The time that each spent in its trial.
        trials: Number of trials.
    """
    return [
        Sample(whole.seconds + (trials - 1) * trial.seconds, 0.0)
        for whole, trial in zip(one, in_one, strict=True)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = command_line(
        __doc__ or "",
        cases="Default: efficientnet_lite0 and resnet18 at 128 px.",
        images=600,
    )
    parser.add_argument("--trials", type=positive, default=10, metavar="N", help="default: 10")
    parser.add_argument("--epochs", type=positive, default=2, metavar="N", help="default: 2")
    options = parser.parse_args(arguments)
    if options.trials < 2:
        parser.error("--trials must be at least 2")
    device = choose_device(options.device)
    report = Report("benchmarks.speed.trials", options, device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {"Training": options.images - options.images // 6, "Testing": options.images // 6}
        write_pictures(folder / "pictures", parts)
        for backbone, size in chosen_cases(options, CASES):
            progress(f"{backbone}, {size} px")
            runs = Runs(backbone, size, options, device, folder)
            runs.run(1)  # fills the caches
            runs.in_trials.clear()
            cases = {f"{n} trials": partial(runs.run, n) for n in (1, options.trials)}
            samples = interleaved(cases, options.repeats, warm_up=False)
            add_row(report, runs, samples, (backbone, size), options.trials)
    report.show()
    return 0


def add_row(
    report: Report,
    runs: Runs,
    samples: dict[str, list[Sample]],
    case: tuple[str, int],
    trials: int,
) -> None:
    """Add the row of one backbone and size."""
    one, many = samples["1 trials"], samples[f"{trials} trials"]
    wanted = expected(one, runs.in_trials[1], trials)
    over = ratio(many, wanted)
    report.add(
        {
            "backbone": case[0],
            "px": case[1],
            "trials": trials,
            "one run, s": rounded(median_seconds(one)),
            "of it in the trial, s": rounded(median_seconds(runs.in_trials[1])),
            "expected, s": rounded(median_seconds(wanted)),
            "measured, s": rounded(median_seconds(many)),
            "ratio": round(over, 3),
            "goal": verdict(over, at_most=GOAL),
        },
        one=one,
        in_one=runs.in_trials[1],
        many=many,
        in_many=runs.in_trials[trials],
    )


if __name__ == "__main__":
    sys.exit(main())
