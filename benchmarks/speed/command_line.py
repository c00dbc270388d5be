"""The options that all speed benchmarks share, under the same names everywhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

BACKBONES = ("efficientnet_lite0", "resnet18", "convnext_tiny", "efficientnetv2_s", "densenet121")


def command_line(
    text: str, *, cases: str, batch: int = 32, images: int, repeats: int = 3
) -> argparse.ArgumentParser:
    """Return a parser with the shared options.

    Args:
        text: The docstring of the command; its first line is shown.
        cases: What is measured if neither ``--backbone`` nor ``--size`` is given, in words.
        batch: Default of ``--batch``.
        images: Default of ``--images``.
        repeats: Default of ``--repeats``.
    """
    parser = argparse.ArgumentParser(description=text.partition("\n")[0], epilog=cases)
    add = parser.add_argument
    add("--backbone", action="append", metavar="ARCH", help="a backbone; repeat")
    add("--size", action="append", type=positive, metavar="PX", help="side in pixels; repeat")
    add("--batch", type=positive, default=batch, metavar="N", help=f"default: {batch}")
    add("--images", type=positive, default=images, metavar="N", help=f"default: {images}")
    add("--repeats", type=positive, default=repeats, metavar="N", help=f"default: {repeats}")
    add("--device", default="cpu", help="auto, cpu, cuda or cuda:N; default: cpu")
    add("--json", type=Path, metavar="FILE", help="write rows and raw seconds here")
    return parser


def chosen_cases(
    options: argparse.Namespace, defaults: Sequence[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Return pairs of backbone and size: the default ones, or all that the options combine."""
    if not options.backbone and not options.size:
        return list(defaults)
    backbones = options.backbone or list(dict.fromkeys(name for name, _ in defaults))
    sizes = options.size or list(dict.fromkeys(size for _, size in defaults))
    return list(product(backbones, sizes))


def positive(text: str) -> int:
    """Return a number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value
