"""How much of one picture another explains, through a gain for every size of structure.

A registered picture is split into bands of frequency; their weighted sum, clipped as an image is,
is fitted to the other picture by least squares, and the map is corrected in the same step (Lucas
and Kanade 1981). So sharpening, blurring and interpolation are explained but for rounding. A
neighbouring slice is not: its contours lie elsewhere, which no gain can bring about.

What the copy was made by at full resolution cannot be imitated here if it is no linear filter. So
the pictures also come equalised, which undoes every monotone change of intensities, and with their
edges enhanced, which clips noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mritk.audit.register import blur, corrected, framing, grid, halved, warped

# Borders of the bands as standard deviations of blurs, in pixels of a picture of 128.
BORDERS = (0.8, 1.3, 2.0, 3.2, 5.0, 8.0)
# Those between which prediction and picture are compared, and the border of the finest structure.
FINE, MIDDLE, COARSE = 0, 2, 4
# Standard deviations of the neighbourhood over which agreement is averaged, and of that over which
# the worst place is looked for, which is small as lesions are; in pixels of a quarter of the side.
NEIGHBOURHOOD, PLACE = 1.5, 1.0
# Text, rulers and frames that two pictures share are stronger than what they differ in. So no place
# counts for more than this many times the average.
MOST = 2.0
# What lies outside of one picture shows in its bands up to here, in pixels.
REACH = 5.0

# Share of the range within which a value counts as background, and the distance in pixels from
# what both pictures show beyond which something that only one of them shows is a mark.
BACKGROUND = 0.06
BEYOND = 3.0

# Share left unexplained by copies, as a multiple of the share of their finest structure: of sharp
# pictures neighbours differ in more, of blurred ones in less. Neighbouring slices, 1 mm apart, of
# the MNI152 average leave 0.027 times that share and more, also if both are blurred, sharpened or
# equalised.
SURE = 0.02
# Agreement at the worst place.
LOCAL = 0.98

# Which picture of the one explains which of the other: as they are, or else equalised, or one of
# them with its edges enhanced.
AS_IS, EQUALISED, ENHANCED = 0, 1, 2
PLAIN = (AS_IS, AS_IS)
MODELS = ((EQUALISED, EQUALISED), (ENHANCED, AS_IS), (AS_IS, ENHANCED))
# Pairs that leave more than this multiple of their sharpness as they are, are not tried otherwise.
HOPELESS = 1.0
# How many times a map is corrected by a model.
CORRECTIONS = 2
# Equalised pictures hide a bright lesion. Pairs that are explained as they are, up to this multiple
# of their sharpness, but agree less than this at one place were changed there.
NEARLY, SPOT = 0.1, 0.85


@dataclass(frozen=True, eq=False)
class Explained:
    """How well P pairs are explained.

    Attributes:
        maps: (P, 2, 3) the maps, corrected.
        rest: (P,) share of the structure that is left unexplained.
        local: (P,) agreement at the worst place, at most 1.
        sharpness: (P,) share of the finest structure in the less sharp of the two pictures.
    """

    maps: np.ndarray
    rest: np.ndarray
    local: np.ndarray
    sharpness: np.ndarray

    def improved(self, rows: np.ndarray, other: Explained) -> Explained:
        """Return this with what ``other`` says of ``rows`` where that leaves less unexplained."""
        better = other.rest < self.rest[rows]
        merged = {name: column.copy() for name, column in vars(self).items()}
        for name, column in vars(other).items():
            merged[name][rows[better]] = column[better]
        return Explained(**merged)


def sure(rest: np.ndarray, sharpness: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Return which pairs are copies, (P,) bool; see :class:`Explained`."""
    copies: np.ndarray = (rest <= SURE * sharpness) & (local >= LOCAL)
    return copies


class _Split:
    """Pictures (P, S, S) float32, and their bands."""

    def __init__(self, pictures: np.ndarray) -> None:
        self.picture = pictures
        blurred = [blur(pictures.shape[1], width)(pictures) for width in BORDERS]
        self.bands = [fine - coarse for fine, coarse in pairwise(blurred)]
        self.band = blurred[FINE] - blurred[COARSE]
        self.finest = blurred[FINE] - blurred[MIDDLE]


def explained(one: np.ndarray, other: np.ndarray, maps: np.ndarray) -> Explained:
    """Return how well pairs explain each other, by the best model in the better direction.

    Args:
        one: (P, 3, S, S) float32: pictures as they are, equalised, with their edges enhanced.
        other: Their partners.
        maps: (P, 2, 3), what lays the partners upon them, roughly.
    """
    plain = found = _explained(one, other, maps, PLAIN)
    known = sure(plain.rest, plain.sharpness, plain.local)
    hopeful = np.flatnonzero((plain.rest < HOPELESS * plain.sharpness) & ~known)
    if len(hopeful):
        one, other, maps = one[hopeful], other[hopeful], maps[hopeful]
        for kinds in MODELS:
            found = found.improved(hopeful, _explained(one, other, maps, kinds))
    spotted = (plain.rest < NEARLY * plain.sharpness) & (plain.local < SPOT)
    return replace(found, local=np.where(spotted, plain.local, found.local))


def _explained(
    one: np.ndarray, other: np.ndarray, maps: np.ndarray, kinds: tuple[int, int]
) -> Explained:
    """Explain by one model, correcting the map for the better direction."""
    fixed = _Split(one[:, kinds[0]])
    for step in range(CORRECTIONS + 1):
        laid, inside = warped(other[:, kinds[1]], maps)
        moving, mask = _Split(laid), _mask(one, other, maps, inside)
        forth, back = _fit(moving, fixed, mask), _fit(fixed, moving, mask)
        (rest, local), (rest_back, local_back) = (_agreement(fit, mask) for fit in (forth, back))
        if step < CORRECTIONS:
            better = (rest_back < rest)[:, None]
            maps = corrected(maps, np.where(better, back.move, -forth.move))
    sharp = np.minimum(_sharpness(fixed, mask), _sharpness(moving, mask))
    return Explained(maps, np.minimum(rest, rest_back), np.maximum(local, local_back), sharp)


@dataclass(frozen=True, eq=False)
class _Fit:
    predicted: np.ndarray
    wanted: np.ndarray
    move: np.ndarray


def _mask(one: np.ndarray, other: np.ndarray, maps: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return where pictures are compared, (P, S, S) float32."""
    seen = blur(one.shape[-1], REACH)(inside.astype(np.float32)) > 0.98
    laid, _ = warped(other[:, AS_IS], maps)
    mask: np.ndarray = (seen & ~_marks(one[:, AS_IS], laid, seen)).astype(np.float32)
    return mask


def _marks(one: np.ndarray, other: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return where one picture shows something upon the background of the other, apart from
    what both show: text, rulers, arrows beside the head; (P, S, S) bool."""
    side = one.shape[1]
    shown = []
    for pictures in (one, other):
        reach = BACKGROUND * np.ptp(pictures, axis=(1, 2))[:, None, None]
        shown.append(np.abs(blur(side, 1.0)(pictures) - framing(pictures)) > reach)
    near = blur(side, BEYOND)((shown[0] & shown[1] & inside).astype(np.float32)) > 0.02
    alone = (shown[0] ^ shown[1]) & ~near
    marks: np.ndarray = blur(side, 3.0)(alone.astype(np.float32)) > 0.01
    return marks


def _fit(source: _Split, target: _Split, mask: np.ndarray) -> _Fit:
    """Fit the bands of ``source`` to ``target``, and a small movement of it."""
    count, side, _ = mask.shape
    wanted = target.picture.reshape(count, -1)
    low, high = wanted.min(axis=1, keepdims=True), wanted.max(axis=1, keepdims=True)
    # Where the target saturates it says only that the truth lies beyond.
    saturated = (wanted < low + 1.5) | (wanted > high - 1.5)
    weights = mask.reshape(count, -1) * np.where(saturated, np.float32(0.02), np.float32(1))
    down, right = (np.gradient(target.picture, axis=axis) * np.float32(side) for axis in (1, 2))
    rows, columns = grid(side)
    moved = [down * rows, down * columns, down, right * rows, right * columns, right]
    parts = [np.ones_like(down), source.picture, *source.bands, *moved]
    basis = np.stack([part.reshape(count, -1) for part in parts], axis=1)
    coefficients = _least_squares(basis, wanted, weights)
    still = len(parts) - len(moved)
    predicted = np.matmul(coefficients[:, None, :still], basis[:, :still])[:, 0]
    predicted = np.clip(predicted, low, high).reshape(mask.shape)
    band = blur(side, BORDERS[FINE])(predicted) - blur(side, BORDERS[COARSE])(predicted)
    return _Fit(band, target.band, coefficients[:, still:])


def _least_squares(basis: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the coefficients (P, K) of ``basis`` (P, K, D) closest to ``target`` (P, D)."""
    weighted = basis * weights[:, None]
    gram = (weighted @ np.swapaxes(basis, 1, 2)).astype(np.float64)
    own = np.diagonal(gram, axis1=1, axis2=2)
    held = 1e-5 * own + 1e-6
    gram += np.eye(gram.shape[1]) * held[:, None, :]
    solved: np.ndarray = np.linalg.solve(gram, weighted @ target[..., None])[..., 0]
    return solved.astype(np.float32)


def _agreement(fit: _Fit, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of structure in which a fit disagrees, and the agreement at the worst
    place."""
    one, other = fit.predicted * mask, fit.wanted * mask
    products = [_quarter(part) for part in (one * one, other * other, one * other)]
    shares = []
    for width in (NEIGHBOURHOOD, PLACE):
        near = blur(products[0].shape[1], width)
        first, second, both = (near(part) for part in products)
        strength = np.sqrt(np.maximum(first * second, 1e-9))
        shares.append((strength, np.maximum(strength - both, 0)))
    (strength, missing), (here, missing_here) = shares
    weight = np.minimum(strength, MOST * strength.mean(axis=(1, 2), keepdims=True))
    rest = (weight * missing / strength).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    floor = 0.5 * np.minimum(here, MOST * here.mean(axis=(1, 2), keepdims=True))
    floor = floor.mean(axis=(1, 2), keepdims=True)
    seen = _quarter(mask) > 0.5
    return rest, 1 - (missing_here / (here + floor) * seen).max(axis=(1, 2))


def _sharpness(split: _Split, mask: np.ndarray) -> np.ndarray:
    """Return the share of the finest structure, no place counting for much more, (P,)."""
    near = blur(mask.shape[1] // 4, NEIGHBOURHOOD)
    finest, all_of_it = (near(_quarter((p * mask) ** 2)) for p in (split.finest, split.band))
    weight = np.minimum(all_of_it, MOST * all_of_it.mean(axis=(1, 2), keepdims=True))
    shares = weight * finest / np.maximum(all_of_it, 1e-9)
    share: np.ndarray = shares.sum(axis=(1, 2)) / np.maximum(weight.sum(axis=(1, 2)), 1e-9)
    return share


def _quarter(pictures: np.ndarray) -> np.ndarray:
    return halved(halved(pictures))
