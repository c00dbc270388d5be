"""Flips and quarter turns of a grid: the symmetries of the square and of the cube."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np

AXES = {2: ("vertically", "horizontally"), 3: ("along axis 0", "along axis 1", "along axis 2")}


@dataclass(frozen=True)
class Symmetry:
    """One way to lay a grid upon itself: its axes permuted, then some of them flipped.

    There are 8 in two dimensions and 48 in three.
    """

    order: tuple[int, ...]
    flipped: tuple[int, ...]

    def apply(self, grids: np.ndarray) -> np.ndarray:
        """Return ``grids`` (…, *spatial) so transformed; all sides of the grid must be equal."""
        leading = grids.ndim - len(self.order)
        moved = grids.transpose(*range(leading), *(leading + axis for axis in self.order))
        return np.flip(moved, tuple(leading + axis for axis in self.flipped))

    @property
    def matrix(self) -> np.ndarray:
        """The places of the grid that the transformed one shows, from its centre: orthogonal."""
        found = np.zeros((len(self.order), len(self.order)))
        for axis, source in enumerate(self.order):
            found[source, axis] = -1 if axis in self.flipped else 1
        return found

    @property
    def inverse(self) -> Symmetry:
        """The symmetry that undoes this one."""
        places = tuple(int(axis) for axis in np.argsort(self.order))
        return Symmetry(places, tuple(sorted(self.order[axis] for axis in self.flipped)))

    @property
    def name(self) -> str:
        """What a person calls it; empty for the identity."""
        identity = tuple(range(len(self.order)))
        if self.order == identity:
            if not self.flipped:
                return ""
            if len(self.order) == 2 and len(self.flipped) == 2:
                return "rotated by 180°"
            return "flipped " + " and ".join(AXES[len(self.order)][axis] for axis in self.flipped)
        if len(self.order) == 3:
            return f"axes reordered as {self.order}" + (
                f", flipped along {', '.join(map(str, self.flipped))}" if self.flipped else ""
            )
        return {
            (): "transposed",
            (0,): "rotated by 90° anticlockwise",
            (1,): "rotated by 90° clockwise",
            (0, 1): "transposed and rotated by 180°",
        }[self.flipped]


@cache
def symmetries(spatial_dims: int) -> tuple[Symmetry, ...]:
    """Return all symmetries of the square (2) or the cube (3), the identity first."""
    flips = [
        tuple(axis for axis, flip in enumerate(choice) if flip)
        for choice in product((False, True), repeat=spatial_dims)
    ]
    orders = permutations(range(spatial_dims))
    return tuple(Symmetry(order, flipped) for order in orders for flipped in flips)


def turn_each(grids: np.ndarray, turn: np.ndarray, spatial_dims: int) -> None:
    """Turn each of ``grids`` (N, …, *spatial) in place by the symmetry of its number, ``turn``."""
    turns = symmetries(spatial_dims)
    for number in np.unique(turn):
        if turns[number].name:  # else it stays as it is
            chosen = turn == number
            grids[chosen] = turns[number].apply(grids[chosen])
