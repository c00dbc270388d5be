"""Register small pictures by an affine map, whatever was done to their intensities.

Both are first normalised locally: structure of one size, divided by its strength nearby. That is
nearly the same before and after sharpening, blurring, equalisation and gamma. The map is found from
coarse to fine by the inverse compositional algorithm (Baker and Matthews 2004), a batch at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from mritk.audit.filters import band_passed, blurred, correlation

# The most that a map may differ from the identity, per coefficient: crops to 10 % on every side.
LIMIT = 0.3
STEP_LIMIT = 0.08

# Side of the coarsest level.
COARSEST = 32
# Standard deviations of the blurs between which structure is compared there.
SCALE = (1.0, 3.0)


@dataclass(frozen=True)
class Level:
    """How pictures are registered at one size.

    Attributes:
        steps: Of the algorithm.
        hopeful: Correlation before the first step, after it, and so on, below which no copy ends as
            likely.
        border: Pixels on every side that are left out.
    """

    steps: int
    hopeful: tuple[float, ...]
    border: int


# Altered copies of real heads start at 0.75 and reach 0.91 by the first step; of the other pairs
# that resemble each other most, a third starts at 0.7 and a tenth reaches 0.85. On finer levels
# copies reach 0.85 by the first step, a tenth of the others does. At the coarsest level the
# structure at the edges depends on what lies beyond the frame: there a head that was cut off is
# normalised otherwise than a whole one.
COARSELY = Level(steps=5, hopeful=(0.68, 0.83, 0.86), border=3)
FINELY = Level(steps=2, hopeful=(0.6, 0.82), border=0)


def halved(pictures: np.ndarray) -> np.ndarray:
    """Return pictures (N, S, S) or (N, S, S, S) float32 at half the side."""
    corners = [
        (slice(None), *(slice(start, None, 2) for start in corner))
        for corner in product((0, 1), repeat=pictures.ndim - 1)
    ]
    first, second, *others = (pictures[corner] for corner in corners)
    small: np.ndarray = first + second
    for other in others:
        small += other
    small *= 0.5 ** (pictures.ndim - 1)
    return small


def locally_normalised(pictures: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Return the band between two blurs, divided by its strength in the neighbourhood.

    Args:
        pictures: (N, S, S) float32.
        fine: Standard deviation of the narrow blur in pixels.
        coarse: That of the wide one, and of the neighbourhood.
    """
    band = band_passed(pictures, fine, coarse)
    energy = blurred(band * band, coarse)
    energy += 0.05 * energy.mean(axis=(1, 2), keepdims=True) + 1e-3
    normalised: np.ndarray = band / np.sqrt(energy)
    return normalised


def coarse_structure(pictures: np.ndarray) -> np.ndarray:
    """Return what pictures (N, 32, 32) are compared by at the coarsest level."""
    return locally_normalised(pictures, *SCALE)


def identities(count: int) -> np.ndarray:
    """Return ``count`` maps (count, 2, 3) that change nothing."""
    return np.tile(np.eye(2, 3), (count, 1, 1))


def centres(pictures: np.ndarray) -> np.ndarray:
    """Return the centre of gravity of what differs from the frame of pictures (N, S, S), (N, 2), in
    shares of the side from the centre."""
    difference = np.abs(pictures - framing(pictures))
    mass = np.maximum(difference.sum(axis=(1, 2)), 1e-6)
    return np.stack(
        [(difference * place).sum(axis=(1, 2)) / mass for place in grid(pictures.shape[1])], axis=1
    )


def framing(pictures: np.ndarray) -> np.ndarray:
    """Return the median of the outermost pixels of pictures (N, S, S), (N, 1, 1)."""
    frame = [pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]]
    median: np.ndarray = np.median(np.concatenate(frame, axis=1), axis=1)[:, None, None]
    return median


def warped(
    pictures: np.ndarray, maps: np.ndarray, border: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures sampled through affine maps, bilinearly, and where that is inside of them.

    Args:
        pictures: (N, S, S) float32.
        maps: (N, 2, 3): from (row, column, 1) of the result to that of the picture, in shares of
            the side from the centre.
        border: Pixels on every side that the result leaves out, (N, S - 2 · border, …), and that do
            not count as inside.
    """
    count, side, _ = pictures.shape
    centre, furthest = np.float32((side - 1) / 2), side - 1.001
    pixels = (np.arange(border, side - border, dtype=np.float32) - centre) / side
    scaled = (maps * side).astype(np.float32)
    y, x = (
        (scaled[:, k, 0, None] * pixels + (scaled[:, k, 2, None] + centre))[:, :, None]
        + (scaled[:, k, 1, None] * pixels)[:, None]
        for k in (0, 1)
    )
    # In place and in float32, which holds an index below 2^24 exactly: conversions would cost as
    # much as looking the values up.
    whole = np.abs(y - centre)
    inside = whole < side / 2 - border
    np.subtract(x, centre, out=whole)
    np.abs(whole, out=whole)
    inside &= whole < side / 2 - border
    np.clip(y, 0, furthest, out=y)
    np.clip(x, 0, furthest, out=x)
    np.floor(y, out=whole)
    y -= whole
    whole *= side
    left = np.floor(x)
    x -= left
    whole += left
    corner = whole.astype(np.intp)
    corner += (np.arange(count) * (side * side))[:, None, None]
    flat = np.ascontiguousarray(pictures).ravel()
    # Indices are within by construction; with "clip" NumPy does not check them first.
    upper, right = flat.take(corner, mode="clip"), flat[1:].take(corner, mode="clip")
    right -= upper
    right *= x
    upper += right
    lower, right = flat[side:].take(corner, mode="clip"), flat[side + 1 :].take(corner, mode="clip")
    right -= lower
    right *= x
    lower += right
    lower -= upper
    lower *= y
    upper += lower
    return upper, inside


@cache
def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of every pixel, in shares of the side from the centre, (S, S) each."""
    offset = (np.arange(side, dtype=np.float32) - (side - 1) / 2) / side
    rows, columns = np.meshgrid(offset, offset, indexing="ij")
    return rows, columns


def roughly_registered(
    fixed: np.ndarray,
    moving: np.ndarray,
    maps: np.ndarray,
    which: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return maps (N, 2, 3) improved at the coarsest level, and how well the pictures correlate.

    Pairs that are hopeless after a few steps are left as they are then.

    Args:
        fixed: (F, 32, 32) float32, normalised by :func:`coarse_structure`.
        moving: (N, 32, 32) float32, likewise.
        maps: Where to start.
        which: (N,) the row of ``fixed`` that each is laid upon, so that what is needed of one
            picture is computed once for all its partners; None: F is N, row upon row.
    """
    return _registered(fixed, moving, maps, which, COARSELY)


def refined(
    fixed: np.ndarray,
    moving: np.ndarray,
    maps: np.ndarray,
    which: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return maps (N, 2, 3) improved at the next finer level, and how well the pictures correlate.

    Pictures are (F, S, S) and (N, S, S) float32, S twice the side of the level at which ``maps``
    were found; see :func:`roughly_registered` for the rest.
    """
    one, other = (locally_normalised(each, 1.0, 4.0) for each in (fixed, moving))
    return _registered(one, other, maps, which, FINELY)


def _registered(
    fixed: np.ndarray, moving: np.ndarray, maps: np.ndarray, which: np.ndarray | None, level: Level
) -> tuple[np.ndarray, np.ndarray]:
    which = np.arange(len(moving)) if which is None else which
    inner = slice(level.border, fixed.shape[1] - level.border)
    maps = maps.copy()
    laid, inside = warped(moving, maps, level.border)
    found = correlation(fixed[:, inner, inner][which] * inside, laid * inside)
    here = np.flatnonzero(found > level.hopeful[0])
    if not len(here):
        return maps, found
    laid, inside = laid[here], inside[here]
    used, row = np.unique(which[here], return_inverse=True)
    target = _Fit.of(fixed[used], level.border)[row]
    for step in range(1, level.steps + 1):
        maps[here] = target.stepped(laid, inside, maps[here])
        laid, inside = warped(moving[here], maps[here], level.border)
        if step < len(level.hopeful) or step == level.steps:
            found[here] = correlation(target.picture * inside, laid * inside)
        if step < len(level.hopeful):
            left = found[here] > level.hopeful[step]
            here, laid, inside, target = here[left], laid[left], inside[left], target[left]
            if not len(here):
                break
    return maps, found


@dataclass(frozen=True, eq=False)
class _Fit:
    """N pictures that others are laid upon, and what is computed of them once.

    Attributes:
        picture: (N, T, T) without the border.
        gradient: (2, N, T · T), how they change along each axis.
        inverse: (N, 6, 6), of the products of how they change with each coefficient of a map: with
            number 3 k + m, by the gradient along axis k times place m.
        places: (T · T, 3), row, column and 1 of every pixel.
    """

    picture: np.ndarray
    gradient: np.ndarray
    inverse: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, pictures: np.ndarray, border: int) -> _Fit:
        """Prepare pictures (N, S, S), leaving out ``border`` pixels on every side."""
        count, side = len(pictures), pictures.shape[1]
        inner = (..., slice(border, side - border), slice(border, side - border))
        gradient = np.stack(
            [np.gradient(pictures, axis=axis)[inner].reshape(count, -1) for axis in (1, 2)]
        )
        gradient *= side
        rows, columns = (place[inner].ravel() for place in grid(side))
        places = np.stack([rows, columns, np.ones_like(rows)], axis=1)
        products = (places[:, :, None] * places[:, None]).reshape(-1, 9)
        blocks = np.empty((count, 2, 3, 2, 3))
        for k, m in ((0, 0), (0, 1), (1, 1)):
            part = (gradient[k] * gradient[m]) @ products
            blocks[:, k, :, m] = blocks[:, m, :, k] = part.reshape(count, 3, 3)
        gram = blocks.reshape(count, 6, 6)
        own = np.diagonal(gram, axis1=1, axis2=2)
        inverse = np.linalg.inv(gram + np.eye(6) * (1e-3 * own + 1e-6)[:, None, :])
        return cls(pictures[inner], gradient, inverse, places)

    def __getitem__(self, rows: np.ndarray) -> _Fit:
        return _Fit(self.picture[rows], self.gradient[:, rows], self.inverse[rows], self.places)

    def stepped(self, laid: np.ndarray, inside: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Return maps (N, 2, 3) after a step, given what :func:`warped` returns for them."""
        error = ((laid - self.picture) * inside).reshape(len(maps), -1)
        # (2, N, 3) sums, in the order of the coefficients.
        change = np.moveaxis((self.gradient * error) @ self.places, 0, 1)
        return corrected(maps, (self.inverse @ change.reshape(-1, 6, 1))[..., 0])


def corrected(maps: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return maps (N, 2, 3) after a step (N, 2, 3) or (N, 6) of the inverse compositional kind."""
    step = np.clip(step.reshape(-1, 2, 3), -STEP_LIMIT, STEP_LIMIT)
    change = _square(identities(len(maps)) + step)
    maps = (_square(maps) @ np.linalg.inv(change))[:, :2]
    limited: np.ndarray = np.eye(2, 3) + np.clip(maps - np.eye(2, 3), -LIMIT, LIMIT)
    return limited


def composed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the maps (N, 2, 3) that lay a picture as ``first`` does, and what that gives as
    ``second`` does."""
    both: np.ndarray = (_square(first) @ _square(second))[:, :2]
    return both


def inverted(maps: np.ndarray) -> np.ndarray:
    """Return the maps (N, 2, 3) that undo these."""
    undone: np.ndarray = np.linalg.inv(_square(maps))[:, :2]
    return undone


def _square(maps: np.ndarray) -> np.ndarray:
    last = np.broadcast_to(np.array([[[0.0, 0.0, 1.0]]]), (len(maps), 1, 3))
    return np.concatenate([maps, last], axis=1)
