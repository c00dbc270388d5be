"""The fourteen operations of RandAugment and TrivialAugment, and how strong each may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mritk_augment import enhance, grey_levels

BINS = 31
"""A magnitude is one of so many steps from 0 to an operation's limit."""

GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
INTENSITY: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "brightness": lambda images, change: enhance.brightness(images, 1 + change),
    "color": lambda images, change: enhance.color(images, 1 + change),
    "contrast": lambda images, change: enhance.contrast(images, 1 + change),
    "sharpness": lambda images, change: enhance.sharpness(images, 1 + change),
    "posterize": grey_levels.posterize,
    "solarize": grey_levels.solarize,
    "autocontrast": lambda images, _: grey_levels.autocontrast(images),
    "equalize": lambda images, _: grey_levels.equalize(images),
}
OPERATIONS = ("identity", *GEOMETRY, *INTENSITY)
SIGNED = torch.tensor([name in (*GEOMETRY, *list(INTENSITY)[:4]) for name in OPERATIONS])
"""Operations that have two directions, drawn with equal chance."""


@dataclass(frozen=True)
class Limits:
    """Magnitudes at the last of the :data:`BINS`, those of torchvision.

    Attributes:
        shear: Tangent of the angle; the upper left corner stays.
        rotate: Degrees.
        shift_share: Translation as a share of the side …
        shift_pixels: … plus this many pixels; what is drawn is cut to whole pixels.
        enhance: Change of the factor 1 of brightness, color, contrast and sharpness.
        bits: Bits that posterize drops of 8.
    """

    shear: float
    rotate: float
    shift_share: float
    shift_pixels: float
    enhance: float
    bits: int


def magnitudes(limits: Limits, height: int, width: int) -> torch.Tensor:
    """Return the (operation, bin) table of magnitudes, float32 of shape (14, 31), on the CPU.

    Solarize falls from 1 to 0 and posterize from 8 bits; all others rise from 0.
    """
    share = torch.linspace(0, 1, BINS)
    rows = dict.fromkeys(OPERATIONS, 0 * share)
    for axis, side in (("x", width), ("y", height)):
        rows[f"shear_{axis}"] = limits.shear * share
        furthest = limits.shift_share * side + limits.shift_pixels
        rows[f"translate_{axis}"] = torch.linspace(0, furthest, BINS).trunc()
    rows["rotate"] = limits.rotate * share
    for name in ("brightness", "color", "contrast", "sharpness"):
        rows[name] = limits.enhance * share
    rows["posterize"] = (8 - torch.arange(BINS) / ((BINS - 1) / limits.bits)).round()
    rows["solarize"] = torch.linspace(1, 0, BINS)
    return torch.stack([rows[name] for name in OPERATIONS])


def moves(operations: torch.Tensor, values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return (N, 3, 3) matrices from output to input, in pixels from the image's centre.

    Operations without geometry give the identity. All tensors are on the CPU.
    """
    matrices = torch.eye(3).repeat(len(operations), 1, 1)
    chosen = {name: values * (operations == OPERATIONS.index(name)) for name in GEOMETRY}
    angles = torch.deg2rad(chosen["rotate"])
    matrices[:, 0, 0] = matrices[:, 1, 1] = torch.cos(angles)
    matrices[:, 0, 1] = chosen["shear_x"] - torch.sin(angles)
    matrices[:, 1, 0] = chosen["shear_y"] + torch.sin(angles)
    matrices[:, 0, 2] = chosen["shear_x"] * height / 2 - chosen["translate_x"]
    matrices[:, 1, 2] = chosen["shear_y"] * width / 2 - chosen["translate_y"]
    return matrices


def shares_of_sides(matrices: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Turn (N, 3, 3) matrices in pixels into (N, 2, 3) matrices of positions in [-1, 1]."""
    half = torch.tensor([width / 2, height / 2, 1.0])
    return (matrices * half / half[:, None])[:, :2]
