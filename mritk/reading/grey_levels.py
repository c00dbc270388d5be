"""The one rule by which intensities without a unit become 256 grey levels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Shares of the foreground that become black and white at the most.
BLACK, WHITE = 0.005, 0.995

# Values so near to zero that they would be shown as zero are background: half a grey level.
HALF_LEVEL = 0.5 / 255

# Values that are converted at a time, so that a volume is never copied as a whole to doubles.
CHUNK = 1 << 20

Range = tuple[float, float]


def grey_levels(values: np.ndarray, *, slope: float = 1.0, intercept: float = 0.0) -> np.ndarray:
    """Return intensities as grey levels.

    MRI intensities have arbitrary units. They are scaled linearly so that the 0.5th percentile of
    the foreground becomes 0 and the 99.5th 255, and clipped. Percentiles, because single bright
    voxels (vessels, spikes) would compress all tissue into a few grey levels; of the foreground,
    because the fraction of background depends on the field of view, not on the brain. Foreground
    values are further from zero than half a grey level, where 255 levels span from zero to
    the larger of the two percentiles of all non-zero values. So it does not matter
    whether the background is stored as 0 or, after rounding, resampling or rescaling to
    integers, as nearly 0: equal intensities give equal grey levels in any dtype.

    If the percentiles coincide, as in a mask, the minimum and maximum of all values are used;
    if these coincide too, the result is 0. NaN and infinite values are excluded and become 0.

    Args:
        values: Stored integer or real values, of any shape.
        slope: Factor applied first.
        intercept: Offset added afterwards.

    Returns:
        An array of the same shape, uint8. Needs at most the memory of ``values`` once more,
        or twice if they are not contiguous, plus a byte per value.
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    grey = np.zeros(values.shape, dtype=np.uint8)
    limits = _limits(flat, slope, intercept)
    if limits is None:
        return grey
    low, high = limits
    shown = grey.reshape(-1)
    for start, intensities in _intensities(flat, slope, intercept):
        intensities[~np.isfinite(intensities)] = low
        shares = (np.clip(intensities, low, high) - low) / (high - low)
        shown[start : start + CHUNK] = np.rint(shares * 255)
    return grey


def _limits(flat: np.ndarray, slope: float, intercept: float) -> Range | None:
    """Return the intensities that become black and white; None if all are equal."""
    foreground = _farther_than(0.0, flat.copy(), slope, intercept)
    if foreground.size:
        limits = _percentiles(foreground, slope, intercept)
        background = max(abs(limits[0]), abs(limits[1])) * HALF_LEVEL
        foreground = _farther_than(background, foreground, slope, intercept)
        limits = _percentiles(foreground, slope, intercept)
        if limits[0] < limits[1]:
            return limits
    return _extremes(flat, slope, intercept)


def _intensities(
    flat: np.ndarray, slope: float, intercept: float
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the intensities in pieces, float64, each with its position."""
    for start in range(0, len(flat), CHUNK):
        # Double precision: two large floats may differ by more than the largest float32.
        yield start, flat[start : start + CHUNK].astype(np.float64) * slope + intercept


def _farther_than(
    distance: float, stored: np.ndarray, slope: float, intercept: float
) -> np.ndarray:
    """Return the stored values whose intensity is finite and farther from 0; moves them."""
    count = 0
    for start, intensities in _intensities(stored, slope, intercept):
        kept = np.isfinite(intensities) & (np.abs(intensities) > distance)
        found = stored[start : start + CHUNK][kept]
        stored[count : count + len(found)] = found
        count += len(found)
    return stored[:count]


def _percentiles(stored: np.ndarray, slope: float, intercept: float) -> Range:
    """Return the percentiles, with linear interpolation between neighbours; sorts partly."""
    # numpy.percentile would first copy whole numbers to doubles.
    shares = (BLACK, WHITE) if slope > 0 else (1 - BLACK, 1 - WHITE)
    places = [share * (len(stored) - 1) for share in shares]
    below = [int(place) for place in places]
    above = [min(place + 1, len(stored) - 1) for place in below]
    stored.partition(sorted({*below, *above}))
    low, high = (
        float(stored[b]) + (float(stored[a]) - float(stored[b])) * (place - b)
        for place, b, a in zip(places, below, above, strict=True)
    )
    return low * slope + intercept, high * slope + intercept


def _extremes(flat: np.ndarray, slope: float, intercept: float) -> Range | None:
    low, high = np.inf, -np.inf
    for _, intensities in _intensities(flat, slope, intercept):
        finite = intensities[np.isfinite(intensities)]
        low = min(low, finite.min(initial=np.inf))
        high = max(high, finite.max(initial=-np.inf))
    return (float(low), float(high)) if low < high else None
