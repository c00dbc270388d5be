"""An epoch of mritk beside the same steps fed by the loaders of torchvision and timm.

    python -m benchmarks.speed.peers_epoch [--backbone ARCH] [--size PX] [--batch N] [--images N]
                                           [--workers N] [--engine NAME] [--device NAME]
                                           [--repeats N] [--json FILE]

(a) the floor, (b) the training part of mritk's epoch, as in ``benchmarks.speed.epoch``; (c) the
floor's network fed by ``ImageFolder``, ``DataLoader`` and ``transforms.v2``; (d) the same network
fed by timm's ``create_loader`` with the training transforms of its train.py. All in turns, in one
process, with the same number of steps, channels last, AdamW, and bfloat16 where (b) has it. (c) and
(d) decode 512 × 512 JPEG files in each epoch, with one worker per core; (b) reads what it decoded
once, before.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from benchmarks.speed.bare_network import BareNetwork
from benchmarks.speed.command_line import BACKBONES, chosen_cases, command_line
from benchmarks.speed.epoch import TakingTurns, make_floor, parse_epoch_options, take_turns
from benchmarks.speed.measurement import median_seconds, progress, ratio
from benchmarks.speed.pictures import write_pictures
from benchmarks.speed.report import Report, rounded, verdict
from mritk.machine.allocator import keep_large_blocks
from mritk.machine.device import choose_device

CASES = [(backbone, size) for size in (96, 128, 224) for backbone in BACKBONES]
TORCHVISION, TIMM = "torchvision", "timm"
# How many times as long as mritk torchvision's way takes on a GPU.
GPU_GOALS = {"resnet18": 5.0, "convnext_tiny": 2.0, "efficientnetv2_s": 2.0, "densenet121": 2.0}


def fed_by_loaders(
    floor: BareNetwork, folder: Path, size: int, options: argparse.Namespace, device: str
) -> dict[str, Callable[[], object]]:
    """Return an epoch of the floor's network with each peer's loader, as calls."""
    # Seconds of imports, which those who time mritk alone do without.
    from benchmarks.speed.peers import timm_train, torchvision_train

    wanted = argparse.Namespace(
        data=folder, size=size, batch=options.batch, workers=options.workers, device=device
    )
    loaders = {
        TORCHVISION: torchvision_train.make_loader(wanted, training=True),
        # timm asks the network for its card only.
        TIMM: timm_train.loader(wanted, nn.Identity(), training=True),
    }
    return {name: partial(floor.train_on, loader) for name, loader in loaders.items()}


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    default = "Default: efficientnet_lite0, resnet18, convnext_tiny, efficientnetv2_s and "
    parser = command_line(
        __doc__ or "", cases=default + "densenet121 at 96, 128 and 224 px.", images=256
    )
    cores = os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=cores, metavar="N", help="of (c) and (d)")
    options = parse_epoch_options(parser, arguments)
    device = choose_device(options.device)
    keep_large_blocks()
    report = Report("benchmarks.speed.peers_epoch", options, device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder, {"train": options.images})
        for backbone, size in chosen_cases(options, CASES):
            progress(f"{backbone}, {size} px")
            floor = make_floor(backbone, size, options, device)
            turns = TakingTurns(floor, fed_by_loaders(floor, folder, size, options, device))
            take_turns(turns, backbone, size, options, device)
            add_row(report, turns, (backbone, size), options, device)
    report.show()
    return 0


def add_row(
    report: Report,
    turns: TakingTurns,
    case: tuple[str, int],
    options: argparse.Namespace,
    device: str,
) -> None:
    """Add the row of one backbone and size."""
    steps = len(turns.floor.batches)
    peers = {name: ratio(of, turns.training) for name, of in turns.of_others.items()}
    goals = GPU_GOALS if device.startswith("cuda") else {}
    report.add(
        {
            "backbone": case[0],
            "px": case[1],
            "batch": options.batch,
            "engine": options.engine,
            "steps": steps,
            "floor, s": rounded(median_seconds(turns.floor_training)),
            "mritk, s": rounded(median_seconds(turns.training)),
            "mritk, images/s": rounded(steps * options.batch / median_seconds(turns.training)),
            "mritk / floor": round(ratio(turns.training, turns.floor_training), 3),
            "torchvision / mritk": round(peers[TORCHVISION], 2),
            "timm / mritk": round(peers[TIMM], 2),
            "goal": verdict(peers[TORCHVISION], at_least=goals.get(case[0])),
        },
        floor=turns.floor_training,
        mritk=turns.training,
        **turns.of_others,
    )


if __name__ == "__main__":
    sys.exit(main())
