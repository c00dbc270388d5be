"""What an epoch of mritk costs beyond the bare steps of the network.

    python -m benchmarks.speed.epoch [--backbone ARCH] [--size PX] [--batch N] [--images N]
                                     [--validation N] [--checkpoint] [--repeats N]
                                     [--augmentation NAME] [--engine NAME] [--device NAME]
                                     [--json FILE]

(a) the floor: network and head step on resident, normalised tensors, with the same optimiser and
memory order; (b) an epoch of mritk on as many grey images, with augmentation, input contract and
everything else that it does. Both take turns, in one process: whenever an epoch of one training of
mritk ends, the floor runs. The first epoch does not count.

``training`` compares the part up to the first validation image; ``with validation`` the whole of
what lies between the ends of two epochs, with the floor and a bare forward pass of as many images.

``--checkpoint`` keeps a checkpoint after each epoch; it is written while the next epoch trains, and
counted there. It costs as much after a short epoch as after a long one, so give as many
``--images`` as a real epoch has. ``mritk run`` leaves out those that would take more than 5 % of
the time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.speed.bare_network import CLASSES, BareNetwork
from benchmarks.speed.command_line import BACKBONES, chosen_cases, command_line, positive
from benchmarks.speed.measurement import Sample, Timer, added, median_seconds, progress, ratio
from benchmarks.speed.report import Report, rounded, verdict
from mritk import Classification, Samples, Setup, Subset, Workspace
from mritk.batches.inputs import Inputs
from mritk.machine.allocator import keep_large_blocks
from mritk.machine.device import choose_device
from mritk.method import Epoch
from mritk.plugins.registry import Registry
from mritk.protocol.recipe import Recipe, Stage
from mritk.train.checkpoint import Checkpoint
from mritk.train.loop import finetune

CASES = [(backbone, size) for size in (96, 128, 224) for backbone in BACKBONES]
ENGINES = ("eager", "compile", "graphs")


@dataclass
class TakingTurns:
    """Measures each epoch of a training, and lets the floor run after each.

    Attributes:
        floor: The bare network.
        others: What else takes its turn, by name.
        epochs: Whole epochs of mritk; ``training`` is the part before the validation.
        floor_training: The floor's steps; ``floor_validation`` its forward passes.
        of_others: The samples of the others.
    """

    floor: BareNetwork
    others: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    epochs: list[Sample] = field(default_factory=list)
    training: list[Sample] = field(default_factory=list)
    floor_training: list[Sample] = field(default_factory=list)
    floor_validation: list[Sample] = field(default_factory=list)
    of_others: dict[str, list[Sample]] = field(init=False)
    _timer: Timer = field(init=False)
    _trained: Sample = field(init=False)

    def __post_init__(self) -> None:
        self.of_others = {name: [] for name in self.others}
        self._restart()

    def before_evaluation(self) -> None:
        """Note when an epoch's training ends."""
        if not self._trained.seconds:
            self._trained = self._timer.lap()

    def after_epoch(self, epoch: Epoch) -> None:
        """Note when an epoch ends, and let the others run."""
        whole, trained = self._timer.lap(), self._trained
        floor_training, floor_validation = timed(self.floor.train), timed(self.floor.predict)
        others = {name: timed(run) for name, run in self.others.items()}
        if epoch.epoch > 1:
            for name, sample in others.items():
                self.of_others[name].append(sample)
            self.epochs.append(whole)
            self.training.append(trained)
            self.floor_training.append(floor_training)
            self.floor_validation.append(floor_validation)
        progress(
            f"  epoch {epoch.epoch} of {epoch.epochs}: {whole.seconds:.2f} s; floor "
            f"{floor_training.seconds:.2f} s + {floor_validation.seconds:.2f} s"
        )
        self._restart()

    def _restart(self) -> None:
        self._timer, self._trained = Timer(), Sample(0, 0)


def timed(run: Callable[[], object]) -> Sample:
    """Return what one call costs."""
    timer = Timer()
    run()
    return timer.lap()


def noise(count: int, size: int, dims: int = 2) -> Samples:
    """Return grey images or volumes of noise that need no resizing."""
    shape = (count, *[size] * dims)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    task = Classification(tuple("abcd"[:CLASSES]))
    ids = [f"image-{i}" for i in range(count)]
    return Samples(ids, np.arange(count) % CLASSES, task, lambda i: images[i], spatial_dims=dims)


def train(setup: Setup, turns: TakingTurns) -> None:
    """Fine-tune the whole backbone as ``setup`` says while ``turns`` watches."""
    evaluate = Inputs.evaluate

    def noted(inputs: Inputs, *arguments: Any) -> torch.Tensor:
        turns.before_evaluation()
        return evaluate(inputs, *arguments)

    # The network itself cannot tell: a graph that is replayed runs no Python.
    with mock.patch.object(Inputs, "evaluate", noted):
        finetune(replace(setup, on_epoch=turns.after_epoch))


def make_floor(backbone: str, size: int, options: argparse.Namespace, device: str) -> BareNetwork:
    """Return the floor of an epoch with as many images as the options say, by the same engine.

    A compiled training is compared with eager steps.
    """
    floor = BareNetwork(
        backbone,
        size=size,
        batch=options.batch,
        steps=options.images // options.batch,
        unseen=options.validation,
        device=device,
    )
    if options.engine == "graphs" and device.startswith("cuda"):
        floor.replay_steps()
    return floor


def take_turns(
    turns: TakingTurns, backbone: str, size: int, options: argparse.Namespace, device: str
) -> None:
    """Train with mritk, and let the floor and the others run after each epoch."""
    samples = noise(options.images + options.validation, size, turns.floor.dims)
    stage = Stage(options.repeats + 1, "all")  # the first epoch does not count
    with tempfile.TemporaryDirectory() as home:
        workspace, registry = Workspace(Path(home)), Registry.load(environ={})
        rows = np.arange(len(samples))
        file = Path(home, "checkpoint")
        checkpoint = Checkpoint(file, {}, []) if options.checkpoint else None
        setup = Setup(
            parameters=Recipe((stage,), batch_size=options.batch),
            task=samples.task,
            train=Subset.of(samples, rows[: options.images], workspace),
            val=Subset.of(samples, rows[options.images :], workspace),
            augmentation=registry.augmentation(options.augmentation),
            seed=0,
            workspace=workspace,
            backbone=registry.backbone(f"{backbone}@scratch"),
            image_size=size,
            volume_size=size,
            device=device,
            compile=options.engine == "compile",
            graphs=options.engine == "graphs",
            checkpoint=checkpoint,
        )
        train(setup, turns)
        if checkpoint is not None:
            checkpoint.close()  # waits: the folder of the last one is about to go


def parse_epoch_options(
    parser: argparse.ArgumentParser, arguments: list[str] | None
) -> argparse.Namespace:
    """Add the options of an epoch of mritk, and parse all."""
    add = parser.add_argument
    add("--validation", type=positive, default=64, metavar="N", help="images; default: 64")
    add("--augmentation", default="affine", help="default: affine")
    add("--engine", default="eager", choices=ENGINES, help="mritk's; default: eager")
    add("--checkpoint", action="store_true", help="keep one after each epoch")
    options = parser.parse_args(arguments)
    if options.images < options.batch:
        parser.error("there must be a full batch of images")
    return options


def goal(size: int, device: str, dims: int = 2) -> float:
    """Return how many times the floor an epoch may cost."""
    if dims == 3:
        return 1.15
    if device.startswith("cuda"):
        return 1.03
    return 1.05 if size >= 128 else 1.10


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    default = "Default: efficientnet_lite0, resnet18, convnext_tiny, efficientnetv2_s and "
    parser = command_line(
        __doc__ or "", cases=default + "densenet121 at 96, 128 and 224 px.", images=256
    )
    options = parse_epoch_options(parser, arguments)
    device = choose_device(options.device)
    keep_large_blocks()
    report = Report("benchmarks.speed.epoch", options, device)
    for backbone, size in chosen_cases(options, CASES):
        progress(f"{backbone}, {size} px")
        turns = TakingTurns(make_floor(backbone, size, options, device))
        take_turns(turns, backbone, size, options, device)
        add_row(report, turns, backbone, size, options.batch, device)
    report.show()
    return 0


def add_row(
    report: Report, turns: TakingTurns, backbone: str, size: int, batch: int, device: str
) -> None:
    """Add the row of one backbone and size."""
    floor = added(turns.floor_training, turns.floor_validation)
    over = ratio(turns.training, turns.floor_training)
    report.add(
        {
            "backbone": backbone,
            "px": size,
            "batch": batch,
            "steps": len(turns.floor.batches),
            "floor, s": rounded(median_seconds(turns.floor_training)),
            "training, s": rounded(median_seconds(turns.training)),
            "ratio": round(over, 3),
            "floor with validation, s": rounded(median_seconds(floor)),
            "epoch, s": rounded(median_seconds(turns.epochs)),
            "ratio with validation": round(ratio(turns.epochs, floor), 3),
            "goal": verdict(over, at_most=goal(size, device, turns.floor.dims)),
        },
        floor_training=turns.floor_training,
        floor_validation=turns.floor_validation,
        training=turns.training,
        epoch=turns.epochs,
    )


if __name__ == "__main__":
    sys.exit(main())
