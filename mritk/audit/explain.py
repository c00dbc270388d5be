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
from functools import cached_property
from itertools import pairwise

import numpy as np

from mritk.audit.agreement import agreement, sharpness_of
from mritk.audit.filters import band_passed, blurred
from mritk.audit.marks import corner_marks, in_corners
from mritk.audit.register import composed, corrected, framing, grid, identities, warped

# Borders of the bands as standard deviations of blurs, in pixels of a picture of 128.
BORDERS = (0.8, 1.3, 2.0, 3.2, 5.0, 8.0)
# Those between which prediction and picture are compared, and the border of the finest structure.
FINE, MIDDLE, COARSE = 0, 2, 4
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
# What covers less than this share of the frame is so small in these pictures that contours that
# moved by one slice hardly move in them: less is allowed then, by this power of the share.
ENOUGH, POWER = 0.4, 2.0

# Which picture of the one explains which of the other: as they are, or else equalised, or one of
# them with its edges enhanced; each with the multiple of their sharpness above which, left
# unexplained as they are, a pair is not tried in that way. Equalised copies leave up to 0.3 of
# real heads and up to 1 of smooth ones, those with enhanced edges up to 0.11.
AS_IS, EQUALISED, ENHANCED = 0, 1, 2
PLAIN = (AS_IS, AS_IS)
MODELS = (
    ((EQUALISED, EQUALISED), 1.2),
    ((ENHANCED, AS_IS), 0.15),
    ((AS_IS, ENHANCED), 0.15),
)
# A map is corrected once where this multiple is left at most, and again where it is the second.
WORTH = (0.15, 0.06)
# Equalised pictures hide a bright lesion. Pairs that are explained as they are, up to this multiple
# of their sharpness, but agree less than this at one place were changed there.
NEARLY, SPOT = 0.09, 0.85

# Letters over the head leave up to this multiple of the sharpness unexplained. Without them, copies
# leave a quarter of what is allowed of others; half of it is allowed here.
MARKED, STRICTER = 0.6, 0.5


@dataclass(frozen=True, eq=False)
class Explained:
    """How well P pairs are explained.

    Attributes:
        maps: (P, 2, 3) the maps, corrected.
        rest: (P,) share of the structure that is left unexplained.
        local: (P,) agreement at the worst place, at most 1.
        sharpness: (P,) share of the finest structure in the less sharp of the two pictures.
        covered: (P,) share of the frame in which they were compared.
    """

    maps: np.ndarray
    rest: np.ndarray
    local: np.ndarray
    sharpness: np.ndarray
    covered: np.ndarray

    @property
    def sure(self) -> np.ndarray:
        """(P,) bool, which are copies."""
        fine_enough = np.minimum(self.covered / ENOUGH, 1) ** POWER
        copies: np.ndarray = self.rest <= SURE * fine_enough * self.sharpness
        return copies & (self.local >= LOCAL)

    def __getitem__(self, rows: np.ndarray) -> Explained:
        return Explained(*(column[rows] for column in vars(self).values()))

    def with_rows(self, rows: np.ndarray, other: Explained) -> Explained:
        """Return this with what ``other`` says of ``rows``."""
        merged = {name: column.copy() for name, column in vars(self).items()}
        for name, column in vars(other).items():
            merged[name][rows] = column
        return Explained(**merged)


class _Split:
    """Pictures (P, S, S) float32, and what another is explained by.

    Attributes:
        basis: (P, K, S, S), a constant, the pictures themselves, and their bands.
        band: (P, S, S), the structure that is compared.
        finest: (P, S, S), the finest part of it.
    """

    def __init__(self, basis: np.ndarray, band: np.ndarray, finest: np.ndarray) -> None:
        self.basis, self.band, self.finest = basis, band, finest

    @classmethod
    def of(cls, pictures: np.ndarray) -> _Split:
        """Split pictures (P, S, S) float32."""
        blurs = [blurred(pictures, width) for width in BORDERS]
        # The first band is what is finer than any blur. A blurred copy has none of it, so it has a
        # gain of its own: else the pictures themselves, which stand for the coarsest, bring it in.
        bands = [fine - coarse for fine, coarse in pairwise((pictures, *blurs))]
        basis = np.stack([np.ones_like(pictures), pictures, *bands], axis=1)
        return cls(basis, blurs[FINE] - blurs[COARSE], blurs[FINE] - blurs[MIDDLE])

    def __getitem__(self, rows: np.ndarray) -> _Split:
        return _Split(self.basis[rows], self.band[rows], self.finest[rows])

    @property
    def picture(self) -> np.ndarray:
        """The pictures."""
        return self.basis[:, 1]

    def sharpness(self, mask: np.ndarray) -> np.ndarray:
        """Return the share of the finest structure within ``mask``, (P,)."""
        return sharpness_of(self.finest, self.band, mask)

    @cached_property
    def movement(self) -> np.ndarray:
        """(P, 6, S, S), how they change with each coefficient of an affine map."""
        side = self.picture.shape[1]
        down, right = (np.gradient(self.picture, axis=axis) * np.float32(side) for axis in (1, 2))
        rows, columns = grid(side)
        parts = [down * rows, down * columns, down, right * rows, right * columns, right]
        return np.stack(parts, axis=1)


def explained(
    one: np.ndarray, other: np.ndarray, maps: np.ndarray, within: np.ndarray | None = None
) -> Explained:
    """Return how well pairs explain each other, by the best model in the better direction.

    A pair that is sure is not tried any further.

    Args:
        one: (P, 3, S, S) float32: pictures as they are, equalised, with their edges enhanced.
        other: Their partners.
        maps: (P, 2, 3), what lays the partners upon them, roughly.
        within: (P, S, S) bool, where they are compared at most; None: everywhere.
    """
    mask = _mask(one[:, AS_IS], *warped(other[:, AS_IS], maps))
    if within is not None:
        mask *= within
    plain = found = _explained(one, other, maps, mask, PLAIN)
    for kinds, most in MODELS:
        hopeful = np.flatnonzero((plain.rest < most * plain.sharpness) & ~found.sure)
        if not len(hopeful):
            continue
        tried = _explained(one[hopeful], other[hopeful], maps[hopeful], mask[hopeful], kinds)
        better = tried.sure | (tried.rest < found.rest[hopeful])
        found = found.with_rows(hopeful[better], tried[better])
    spotted = (plain.rest < NEARLY * plain.sharpness) & (plain.local < SPOT)
    found = replace(found, local=np.where(spotted, plain.local, found.local))
    left = np.flatnonzero((plain.rest < MARKED * plain.sharpness) & ~found.sure)
    if len(left):
        still, moving = one[left, AS_IS], other[left, AS_IS]
        marked, pair, seen = _without_marks(still, moving, plain.maps[left], mask[left])
        if len(marked):
            left, here = left[marked], identities(len(marked))
            clean = _explained(*pair, here, seen, PLAIN)
            clean = replace(clean, maps=composed(plain.maps[left], clean.maps))
            copies = replace(clean, rest=clean.rest / STRICTER).sure
            found = found.with_rows(left[copies], clean[copies])
    return found


def _without_marks(
    one: np.ndarray, other: np.ndarray, maps: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Find pairs of which one picture is marked in a corner, and take the marks off.

    Args:
        one: (P, S, S) float32, as they are.
        other: Their partners.
        maps: (P, 2, 3), what lays the partners upon them.
        mask: (P, S, S) float32, where they were compared with their marks.

    Returns:
        The positions of M such pairs; their pictures, the partners laid upon them, (M, 1, S, S)
        each; and where to compare them, (M, S, S).
    """
    laid, inside = warped(other, maps)
    fixed, moving = _Split.of(one), _Split.of(laid)
    corners = np.broadcast_to(in_corners(one.shape[1]), one.shape)
    below, marks = [], []
    for source, target, places in (
        (moving, fixed, corners),
        (fixed, moving, warped(corners, maps)[0]),
    ):
        below.append(_predicted(source, target, _coefficients(source, target, mask)))
        marks.append(corner_marks(target.picture, below[-1], inside & (places > 0.5)))
    first = marks[0].sum(axis=(1, 2)) >= marks[1].sum(axis=(1, 2))
    first = first[:, None, None]
    marked = np.flatnonzero(np.where(first, *marks).any(axis=(1, 2)))
    pair = [
        np.where(found & which, without, picture)[marked]
        for picture, without, found, which in zip(
            (one, laid), below, marks, (first, ~first), strict=True
        )
    ]
    seen = _mask(pair[0], pair[1], inside[marked]) * ~np.where(first, *marks)[marked]
    return marked, (pair[0][:, None], pair[1][:, None]), seen


def _explained(
    one: np.ndarray, other: np.ndarray, maps: np.ndarray, mask: np.ndarray, kinds: tuple[int, int]
) -> Explained:
    """Explain by one model; pairs that are nearly sure again with a corrected map, in the better
    direction."""
    fixed, pictures = _Split.of(one[:, kinds[0]]), other[:, kinds[1]]
    moving = _Split.of(warped(pictures, maps)[0])
    forth, back = _fit(moving, fixed, mask), _fit(fixed, moving, mask)
    sharpness = np.minimum(fixed.sharpness(mask), moving.sharpness(mask))
    rest, local = np.minimum(forth.rest, back.rest), np.maximum(forth.local, back.local)
    found = Explained(maps, rest, local, sharpness, mask.mean(axis=(1, 2)))
    backwards = back.rest < forth.rest
    move = np.where(backwards[:, None], back.move, -forth.move)
    for most in WORTH:
        left = np.flatnonzero(~found.sure & (found.rest < most * found.sharpness))
        if not len(left):
            break
        turned, seen, still = backwards[left], mask[left], fixed[left]
        laid = corrected(found.maps[left], move[left])
        moving = _Split.of(warped(pictures[left], laid)[0])
        fit = _fit(_either(turned, still, moving), _either(turned, moving, still), seen)
        sharpness = np.minimum(still.sharpness(seen), moving.sharpness(seen))
        better = Explained(laid, fit.rest, fit.local, sharpness, found.covered[left])
        found = found.with_rows(left, better)
        move[left] = np.where(turned[:, None], fit.move, -fit.move)
    return found


def _either(which: np.ndarray, one: _Split, other: _Split) -> _Split:
    """Return ``one`` where ``which`` (P,) is true, ``other`` elsewhere."""
    chosen = which[:, None, None]
    return _Split(
        np.where(chosen[:, None], one.basis, other.basis),
        np.where(chosen, one.band, other.band),
        np.where(chosen, one.finest, other.finest),
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """Share of the structure in which a fit of P pairs disagrees, agreement at the worst place, and
    the movement (P, 6) that would improve it."""

    rest: np.ndarray
    local: np.ndarray
    move: np.ndarray


def _mask(one: np.ndarray, laid: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return where pictures are compared with those laid upon them, (P, S, S) float32."""
    seen = blurred(inside.astype(np.float32), REACH) > 0.98
    mask: np.ndarray = (seen & ~_marks(one, laid, seen)).astype(np.float32)
    return mask


def _marks(one: np.ndarray, other: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return where one picture shows something upon the background of the other, apart from
    what both show: text, rulers, arrows beside the head; (P, S, S) bool."""
    shown = []
    for pictures in (one, other):
        reach = BACKGROUND * np.ptp(pictures, axis=(1, 2))[:, None, None]
        shown.append(np.abs(blurred(pictures, 1.0) - framing(pictures)) > reach)
    near = blurred((shown[0] & shown[1] & inside).astype(np.float32), BEYOND) > 0.02
    alone = (shown[0] ^ shown[1]) & ~near
    marks: np.ndarray = blurred(alone.astype(np.float32), 3.0) > 0.01
    return marks


def _fit(source: _Split, target: _Split, mask: np.ndarray) -> _Fit:
    """Fit ``source`` to ``target``, with a small movement of it."""
    coefficients = _coefficients(source, target, mask)
    predicted = _predicted(source, target, coefficients)
    band = band_passed(predicted, BORDERS[FINE], BORDERS[COARSE])
    move = coefficients[:, source.basis.shape[1] :]
    return _Fit(*agreement(band, target.band, mask), move)


def _coefficients(source: _Split, target: _Split, mask: np.ndarray) -> np.ndarray:
    """Return the gains of the bands of ``source``, and then the movement, that bring it closest to
    ``target``, (P, K + 6)."""
    count, side, _ = mask.shape
    low, high = _range(target)
    # Every other row is enough for as few unknowns.
    some = target.picture[:, ::2]
    # Where the target saturates it says only that the truth lies beyond.
    saturated = (some < low + 1.5) | (some > high - 1.5)
    weights = mask[:, ::2] * np.where(saturated, np.float32(0.02), np.float32(1))
    basis = np.concatenate([source.basis[:, :, ::2], target.movement[:, :, ::2]], axis=1)
    return _least_squares(
        *(part.reshape(count, -1, side * side // 2) for part in (basis, some, weights))
    )


def _predicted(source: _Split, target: _Split, coefficients: np.ndarray) -> np.ndarray:
    """Return ``target`` as ``source`` explains it, (P, S, S) float32."""
    count, still, *_ = source.basis.shape
    predicted = coefficients[:, None, :still] @ source.basis.reshape(count, still, -1)
    clipped: np.ndarray = np.clip(predicted.reshape(target.picture.shape), *_range(target))
    return clipped


def _range(split: _Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest value of every picture, (P, 1, 1) each."""
    picture = split.picture
    return picture.min(axis=(1, 2), keepdims=True), picture.max(axis=(1, 2), keepdims=True)


def _least_squares(basis: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the coefficients (P, K) of ``basis`` (P, K, D) closest to ``target`` (P, 1, D)."""
    weighted = basis * weights
    gram = (weighted @ np.swapaxes(basis, 1, 2)).astype(np.float64)
    own = np.diagonal(gram, axis1=1, axis2=2)
    held = 1e-5 * own + 1e-6
    gram += np.eye(gram.shape[1]) * held[:, None, :]
    right = weighted @ np.swapaxes(target, 1, 2)
    solved: np.ndarray = np.linalg.solve(gram, right)[..., 0]
    return solved.astype(np.float32)
