"""The ways in which a picture is looked for among others, and where a copy then lies on it.

As it is, it is found by a copy that was blurred or turned a little. Moved about the centre of
gravity of what it shows, it is found by one that was shifted, turned or magnified, as long as the
head is whole. Where the head fills the frame, a crop or a shift cuts into it and a mark adds to it,
and its centre of gravity lies elsewhere; so it is also moved about the middle of the frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from mritk.audit.register import COARSEST, centres, grid, identities, warped
from mritk.audit.search import Scale, pooled_band, unit_vectors
from mritk.audit.symmetry import Symmetry, symmetries
from mritk.machine.in_threads import blocks_in_threads

# Pictures that are moved at once.
BLOCK = 128

# Structure of an eighth of the frame, of pictures of 32 pixels.
SMOOTH = {2: Scale(1.5, 4.5, 2)}


@dataclass(frozen=True)
class Move:
    """Where to look in a picture: turned by degrees, magnified, and shifted by shares of a side."""

    angle: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def matrix(self) -> np.ndarray:
        """(2, 2), from places of what is seen to those of the picture."""
        c, s = np.cos(np.radians(self.angle)), np.sin(np.radians(self.angle))
        return np.array([[c, -s], [s, c]]) / self.zoom


STILL = Move()
SIDEWAYS = ((0, 1), (0, -1), (1, 0), (-1, 0))
# Crops of 8 % on every side magnify by 1.19. Structure of this size is told apart until it has
# moved by about 3 % of the frame, so that these reach shifts of 8 %.
CENTRED = tuple(Move(angle, zoom) for angle, zoom in product((-4.0, 0.0, 4.0), (1.0, 1.13)))
FRAMED = (
    *(Move(zoom=zoom) for zoom in (1.09, 1.19)),
    *(Move(angle) for angle in (-4.0, 4.0)),
    *(Move(shift=(0.05 * a, 0.05 * b)) for a, b in product((-1, 0, 1), repeat=2) if a or b),
    *(Move(zoom=1.14, shift=(0.04 * a, 0.04 * b)) for a, b in SIDEWAYS),
)


@cache
def seen_by(move: Move) -> np.ndarray:
    """Return the matrix (32 · 32, 16 · 16) float32 that takes pictures to their coarsest structure
    after a move about their middle: each step of it is linear."""
    rows, columns = grid(COARSEST)
    centre = (COARSEST - 1) / 2
    near = []
    for (down, right), shift in zip(move.matrix, move.shift, strict=True):
        place = (down * rows + right * columns + shift) * COARSEST + centre
        place = np.clip(place.reshape(-1, 1), 0, COARSEST - 1)
        near.append(np.maximum(1 - np.abs(place - np.arange(COARSEST)), 0).astype(np.float32))
    bilinear = near[0][:, :, None] * near[1][:, None]
    matrix: np.ndarray = bilinear.reshape(COARSEST**2, -1).T @ _structure()
    return matrix


@cache
def _structure() -> np.ndarray:
    """Return what each of the 32 · 32 pixels contributes to the coarsest structure."""
    pixels = np.eye(COARSEST**2, dtype=np.float32).reshape(-1, COARSEST, COARSEST)
    return pooled_band(pixels, SMOOTH[2]).reshape(COARSEST**2, -1)


@dataclass(frozen=True, eq=False)
class Query:
    """P pictures as they are looked for.

    Attributes:
        turn: Number of the symmetry that lays a picture that is found upon these.
        move: Where it was looked, about :attr:`Way.middle`.
        vectors: (P, 16, 16) float32, their coarsest structure.
    """

    turn: int
    move: Move
    vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class Way:
    """One way to look for pictures.

    Attributes:
        pictures: (N, 32, 32) float32, so that what they are moved about lies in the middle.
        middle: (N, 2), where it lay, in shares of the side from the centre.
        moves: How those are moved that are looked for; the others are not.
        turns: Numbers of the symmetries to look for.
    """

    pictures: np.ndarray
    middle: np.ndarray
    moves: tuple[Move, ...]
    turns: tuple[int, ...]

    @classmethod
    def about(
        cls, middle: np.ndarray, pictures: np.ndarray, moves: tuple[Move, ...], turns: Sequence[int]
    ) -> Way:
        """Return the way to look for pictures that are moved about ``middle``."""
        centred = np.empty_like(pictures)

        def centre(part: slice) -> None:
            moved = pictures[part]
            if middle.any():
                maps = identities(len(moved))
                maps[:, :, 2] = middle[part]
                moved = warped(moved, maps)[0]
            # A constant has no structure; without it, less is rounded.
            centred[part] = moved - moved.mean(axis=(1, 2), keepdims=True)

        blocks_in_threads(centre, len(pictures), BLOCK)
        return cls(centred, middle, moves, tuple(turns))

    def vectors(self, rows: np.ndarray | slice = slice(None), move: Move = STILL) -> np.ndarray:
        """Return the structure of pictures after a move, (P, 16, 16) float32."""
        pictures = self.pictures[rows]
        found = pictures.reshape(len(pictures), -1) @ seen_by(move)
        return unit_vectors(found.reshape(len(pictures), COARSEST // 2, -1))

    def queries(self, rows: np.ndarray) -> Iterator[Query]:
        """Yield the ways in which ``rows`` are looked for."""
        for move in self.moves:
            vectors = self.vectors(rows, move)
            for number in self.turns:
                yield Query(number, move, symmetries(2)[number].inverse.apply(vectors))

    def start(self, i: np.ndarray, j: np.ndarray, turn: int, move: Move) -> np.ndarray:
        """Return the maps (P, 2, 3) by which pictures j, turned, lie upon pictures i that found
        them by this move."""
        back = np.linalg.inv(move.matrix)
        theirs = self.middle[j] @ symmetries(2)[turn].matrix  # of the turned picture
        offset = theirs - (self.middle[i] + move.shift) @ back.T
        return np.concatenate([np.broadcast_to(back, (len(i), 2, 2)), offset[..., None]], axis=2)


def ways(small: np.ndarray, even: np.ndarray) -> tuple[Way, ...]:
    """Return all ways to look for pictures.

    As they are, a blurred copy is more like its original than its neighbours, equalised only where
    pictures are half equalised, the mean of both; so each is looked for in both.

    Args:
        small: (N, 32, 32) float32, as they are.
        even: The same, equalised.
    """
    half, turns, still = (small + even) / 2, symmetries(2), np.zeros((len(small), 2))
    upright = turns.index(Symmetry((0, 1), ()))
    mirrored = turns.index(Symmetry((0, 1), (1,)))
    return (
        Way.about(still, small, (STILL,), range(len(turns))),
        Way.about(centres(half), half, CENTRED, (upright, mirrored)),
        Way.about(still, half, FRAMED, (upright,)),
    )
