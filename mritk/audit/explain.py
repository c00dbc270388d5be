"""How much of one picture another explains, through a change of intensities and of sharpness.

Two models are fitted to a registered pair by least squares, each in both directions:

- the picture after a piecewise linear curve, with a gain for each of several bands of frequency;
  the prediction is clipped as an image is, so it also describes sharpening that saturated;
- a sum over pieces of the curve, each with its own gains: closer, where nothing saturated.

A sharpened, blurred, equalised or moved copy is explained but for rounding. A neighbouring slice
is not: its contours lie elsewhere, which no gain and no curve can bring about.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mritk.audit.register import blur

# Borders of the bands as standard deviations of blurs, in pixels of a picture of 128.
BORDERS = (0.8, 1.3, 2.0, 3.2, 5.0, 8.0)
# The band in which prediction and picture are compared.
FINE, COARSE = 0.8, 5.0
# Knots of the intensity curve: the darkest value, and quantiles of what is brighter.
QUANTILES, FEW_QUANTILES = 9, 6
# Standard deviation of the neighbourhood over which agreement is averaged.
NEIGHBOURHOOD = 6.0
# That over which the worst place is looked for: smaller, as lesions are.
PLACE = 4.0

# Share of the range within which a value counts as background, and the distance in pixels from
# what both pictures show beyond which something that only one of them shows is a mark.
BACKGROUND = 0.06
BEYOND = 3.0


@dataclass(frozen=True, eq=False)
class Explained:
    """How well pairs are explained.

    Attributes:
        clipped: (P,) local correlation of picture and prediction by the first model, at most 1.
        pieces: (P,) the same of the second.
        local: (P,) the worst agreement at any one place, by the better of the two.
    """

    clipped: np.ndarray
    pieces: np.ndarray
    local: np.ndarray


def explained(one: np.ndarray, other: np.ndarray, inside: np.ndarray) -> Explained:
    """Return how well registered pictures explain each other, the better direction of each model.

    Args:
        one: (P, S, S) float32.
        other: Their partners, laid upon them.
        inside: (P, S, S) bool, where both were seen.
    """
    side = one.shape[1]
    mask = (blur(side, 2.0)(inside.astype(np.float32)) > 0.995).astype(np.float32)
    mask *= ~_marks(one, other, mask > 0)
    best: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for source, target in ((one, other), (other, one)):
        wanted = _band(target)
        curve = _Curve(source, mask, QUANTILES)
        few = _Curve(source, mask, FEW_QUANTILES)
        predictions = {
            "clipped": _clipped(curve, source, target, mask),
            "pieces": _pieces(few, wanted, mask),
        }
        for name, predicted in predictions.items():
            found = _agreement(predicted * mask, wanted * mask, mask)
            known = best.get(name)
            if known is not None:
                better = known[0] > found[0]
                found = (np.where(better, known[0], found[0]), np.where(better, known[1], found[1]))
            best[name] = found
    (clipped, local), (pieces, other_local) = best["clipped"], best["pieces"]
    return Explained(clipped, pieces, np.maximum(local, other_local))


def sharpness(pictures: np.ndarray) -> np.ndarray:
    """Return the share of the finest structure in the structure of pictures (N, S, S), (N,)."""
    side = pictures.shape[1]
    finest, middle, coarse = (blur(side, width)(pictures) for width in (FINE, 2.0, COARSE))
    energy = np.square(finest - coarse).sum(axis=(1, 2))
    share: np.ndarray = np.square(finest - middle).sum(axis=(1, 2)) / np.maximum(energy, 1e-6)
    return share


def _band(pictures: np.ndarray) -> np.ndarray:
    side = pictures.shape[1]
    band: np.ndarray = blur(side, FINE)(pictures) - blur(side, COARSE)(pictures)
    return band


def _bands(pictures: np.ndarray) -> list[np.ndarray]:
    blurred = [blur(pictures.shape[1], width)(pictures) for width in BORDERS]
    return [fine - coarse for fine, coarse in pairwise(blurred)]


def _marks(one: np.ndarray, other: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return where one picture shows something upon the background of the other, apart from
    what both show: text, rulers, arrows beside the head; (P, S, S) bool."""
    side = one.shape[1]
    shown = []
    for pictures in (one, other):
        frame = np.concatenate(
            [pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]], axis=1
        )
        ground = np.median(frame, axis=1)[:, None, None]
        reach = BACKGROUND * np.ptp(pictures, axis=(1, 2))[:, None, None]
        shown.append(np.abs(blur(side, 1.0)(pictures) - ground) > reach)
    near = blur(side, BEYOND)((shown[0] & shown[1] & inside).astype(np.float32)) > 0.02
    alone = (shown[0] ^ shown[1]) & ~near
    marks: np.ndarray = blur(side, 3.0)(alone.astype(np.float32)) > 0.01
    return marks


class _Curve:
    """The parts of pictures between knots of intensity: a basis of piecewise linear curves."""

    def __init__(self, pictures: np.ndarray, mask: np.ndarray, quantiles: int) -> None:
        count = len(pictures)
        flat = pictures.reshape(count, -1)
        knots = _knots(flat, mask.reshape(count, -1) > 0, quantiles)
        piece = np.zeros(flat.shape, np.intp)
        for knot in range(1, knots.shape[1] - 1):
            piece += flat >= knots[:, knot, None]
        left, right = (np.take_along_axis(knots, piece + step, axis=1) for step in (0, 1))
        share = np.clip((flat - left) / (right - left), 0, 1.5).astype(np.float32)
        self.hats = np.zeros((count, knots.shape[1], flat.shape[1]), np.float32)
        np.put_along_axis(self.hats, piece[:, None], 1 - share[:, None], axis=1)
        np.put_along_axis(self.hats, piece[:, None] + 1, share[:, None], axis=1)


def _knots(flat: np.ndarray, seen: np.ndarray, quantiles: int) -> np.ndarray:
    low, high = flat.min(axis=1, keepdims=True), flat.max(axis=1, keepdims=True)
    bright = np.sort(np.where(seen & (flat > low + 0.05 * (high - low)), flat, np.inf), axis=1)
    known = np.isfinite(bright).sum(axis=1, keepdims=True)
    places = np.linspace(0, 1, quantiles) * np.maximum(known - 1, 0)
    chosen = np.take_along_axis(bright, places.astype(np.intp), axis=1)
    knots = np.concatenate([low, np.where(np.isfinite(chosen), chosen, high)], axis=1)
    step = 0.01 * (high - low) + 1e-3
    for k in range(1, knots.shape[1]):  # equal quantiles would leave an empty piece
        knots[:, k] = np.maximum(knots[:, k], knots[:, k - 1] + step[:, 0])
    return knots


def _fitted(basis: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted least-squares fit of ``basis`` (P, K, D) to ``target`` (P, D)."""
    weighted = basis * weights[:, None]
    gram = (weighted @ np.swapaxes(basis, 1, 2)).astype(np.float64)
    own = np.diagonal(gram, axis1=1, axis2=2)
    held = 1e-5 * own + 1e-6 * own.mean(axis=1, keepdims=True) + 1e-6
    gram += np.eye(gram.shape[1]) * held[:, None, :]
    right = weighted @ target[..., None]
    coefficients = np.linalg.solve(gram, right)[..., 0].astype(np.float32)
    return np.matmul(coefficients[:, None], basis)[:, 0]


def _clipped(curve: _Curve, source: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the prediction of the first model, band-passed."""
    count = len(source)
    wanted = target.reshape(count, -1)
    low, high = wanted.min(axis=1, keepdims=True), wanted.max(axis=1, keepdims=True)
    # Where the target saturates it says only that the truth lies beyond.
    saturated = (wanted < low + 1.5) | (wanted > high - 1.5)
    weights = mask.reshape(count, -1) * np.where(saturated, np.float32(0.02), np.float32(1))
    mapped = _fitted(curve.hats, wanted, weights).reshape(source.shape)
    bands = np.stack(_bands(mapped), axis=1).reshape(count, len(BORDERS) - 1, -1)
    predicted = _fitted(np.concatenate([curve.hats, bands], axis=1), wanted, weights)
    return _band(np.clip(predicted, low, high).reshape(source.shape))


def _pieces(curve: _Curve, wanted: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the prediction of the second model, which is fitted to the band alone."""
    count, side, _ = wanted.shape
    hats = 255 * curve.hats[:, 1:]
    bands = _bands(hats.reshape(-1, side, side))
    basis = np.stack([band.reshape(count, hats.shape[1], -1) for band in bands], axis=2)
    basis = basis.reshape(count, -1, side * side)
    fit = _fitted(basis, wanted.reshape(count, -1), mask.reshape(count, -1))
    return fit.reshape(wanted.shape)


def _agreement(
    predicted: np.ndarray, wanted: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the local correlation, averaged by strength, and the worst share at any place."""
    strength, missing = _missing(predicted, wanted, NEIGHBOURHOOD)
    mean = 1 - missing.sum(axis=(1, 2)) / strength.sum(axis=(1, 2))
    strength, missing = _missing(predicted, wanted, PLACE)
    floor = 0.5 * strength.mean(axis=(1, 2), keepdims=True)
    worst = 1 - (missing / (strength + floor) * mask).max(axis=(1, 2))
    return mean, worst


def _missing(
    predicted: np.ndarray, wanted: np.ndarray, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the strength of structure around every pixel, and how much of it disagrees."""
    near = blur(wanted.shape[1], width)
    strength = np.sqrt(np.maximum(near(predicted**2) * near(wanted**2), 1e-9))
    return strength, np.maximum(strength - near(predicted * wanted), 0)
