"""The grid of a network's input: its sides, and how samples come to them (no NumPy)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

# Sides in pixels or voxels: one for all axes, or one per axis of a sample; None: as it is.
Size: TypeAlias = "int | tuple[int, ...] | None"
Fit = Literal["resize", "crop_or_pad"]
Spacing: TypeAlias = "float | tuple[float, ...] | None"

FITS = ("resize", "crop_or_pad")


@dataclass(frozen=True)
class Grid:
    """The grid of a network's input.

    Attributes:
        size: Side in pixels or voxels, or one per axis of a sample; None: as it is.
        fit: How samples come to the size. ``resize`` stretches or shrinks each axis, whatever that
            does to the proportions. ``crop_or_pad`` keeps them: what is beyond the size is cut off,
            what is missing is filled with 0, on both sides alike.
        spacing: Distance of pixels or voxels in mm, for all axes or per axis, to which samples are
            resampled before they are cropped or padded; None: as they are.
    """

    size: Size = None
    fit: Fit = "resize"
    spacing: Spacing = None

    def __post_init__(self) -> None:
        """Refuse what is no grid.

        Raises:
            ValueError: An unknown fit; sides below 1; a spacing of no use, or not above 0.
        """
        sides = self.size if isinstance(self.size, tuple) else (self.size,)
        if not sides or any(side is not None and side < 1 for side in sides):
            raise ValueError(f"size must be at least 1 on each axis, not {self.size}")
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, not {self.fit!r}")
        if self.spacing is None:
            return
        if self.fit == "resize":
            raise ValueError(
                "spacing has no effect on samples that are resized; use fit='crop_or_pad'"
            )
        given = self.spacing if isinstance(self.spacing, tuple) else (self.spacing,)
        if not given or not all(0 < mm < math.inf for mm in given):
            raise ValueError(f"spacing must be a distance in mm above 0, not {self.spacing}")

    @classmethod
    def of(cls, given: GridLike) -> Grid:
        """Return a grid of that size, unless it is a grid already."""
        return given if isinstance(given, Grid) else cls(given)

    def sides(self, spatial_dims: int) -> tuple[int, ...] | None:
        """Return one side per axis; None: as samples are.

        Raises:
            ValueError: Size or spacing are for another number of axes.
        """
        for name, value in (("size", self.size), ("spacing", self.spacing)):
            if isinstance(value, tuple) and len(value) != spatial_dims:
                raise ValueError(f"{name} {value} is for {len(value)} axes, not {spatial_dims}")
        if self.size is None or isinstance(self.size, tuple):
            return self.size
        return (self.size,) * spatial_dims

    @property
    def is_side(self) -> bool:
        """Whether samples are resized to one side, or stay as they are; of interface 1.0."""
        return self.fit == "resize" and not isinstance(self.size, tuple)


# A size, to which samples are resized, or a grid.
GridLike: TypeAlias = "Size | Grid"


def size_text(size: Size) -> str:
    """Return a size for messages: ``224``, ``96×96×64``, or ``any``."""
    return "×".join(map(str, size)) if isinstance(size, tuple) else str(size or "any")


def one_side(size: Size) -> int | None:
    """Return the side that all axes share; None: they differ, or are any."""
    sides = set(size) if isinstance(size, tuple) else {size}
    return sides.pop() if len(sides) == 1 else None
