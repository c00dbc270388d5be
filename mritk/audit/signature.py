"""What the audit keeps of an image or a volume: digests, facts, and small pictures.

The first picture is the whole frame, the second the content alone, without padding and empty
background. Both are square (or cubic) and stretched to the full range of 8 bits, so that neither
the size of the image nor its brightness and contrast matter. Of an image there are three more, the
whole frame in more detail (see :mod:`mritk.audit.detail`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk.audit.detail import detail
from mritk.audit.filters import blurred
from mritk.audit.shrink import ROUGHLY, Box, Shrinkable
from mritk.data.samples import array_digest
from mritk.images.shaping import without_equal_channels

# Sides of the small pictures. A 64th of a head is 3 mm; what two neighbouring slices of 1 mm differ
# in is still seen there, and what JPEG does to fine detail is not.
SIDES = {2: 64, 3: 24}

# Content is what differs from the background by this share of a large difference, a quantile.
CONTENT, LARGE = 0.15, 0.98
# Padding of another colour than the background is taken off in a turn of its own. The blurred edge
# of the padding is left out of the second turn, which only counts if it takes off more than that.
TURNS = 2
EDGE = 5 / 128
WORTH_A_TURN = 0.1
BOX_SIDE = {2: 128, 3: 48}


@dataclass(frozen=True, eq=False)
class Signature:
    """The facts of one sample.

    Attributes:
        pixels: :func:`mritk.data.samples.array_digest` of the decoded array without equal
            channels; equal grey and colour files of one picture have one digest.
        shape: Shape as decoded.
        mode: ``grey``, ``colour`` or ``volume``, with the dtype.
        box: (first, last) along each axis of the box around the content, in shares of the frame.
        whole: The whole frame, small, uint8.
        content: The content alone, likewise.
        detail: (3, D, D), the whole frame in more detail: as it is, equalised at full resolution,
            and with its edges enhanced there; of volumes, an array without elements.
    """

    pixels: str
    shape: tuple[int, ...]
    mode: str
    low: float
    high: float
    box: Box
    whole: np.ndarray
    content: np.ndarray
    detail: np.ndarray


def coverage(box: Box) -> float:
    """Return the size of a box whose sides are given in shares of the frame."""
    return float(np.prod([last - first for first, last in box]))


def signature(array: np.ndarray, spatial_dims: int) -> Signature:
    """Return the signature of one decoded sample.

    Args:
        array: (H, W), (H, W, 3) or, with 3 spatial dimensions, (D, H, W); uint8 or float.
        spatial_dims: 2 or 3.

    Raises:
        ValueError: The array has no such shape, is empty, or holds values that are not finite.
    """
    if array.size == 0:
        raise ValueError(f"is empty: shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("contains NaN or infinite values")
    array = np.ascontiguousarray(without_equal_channels(array) if spatial_dims == 2 else array)
    if array.ndim != spatial_dims and not (spatial_dims == 2 and array.shape[2:] == (3,)):
        raise ValueError(f"has shape {array.shape}")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ValueError(f"has dtype {array.dtype}")
    kind = "volume" if spatial_dims == 3 else "grey" if array.ndim == 2 else "colour"
    grid = array if array.ndim == spatial_dims else _mean_of_channels(array)
    whole, side = Shrinkable(grid), SIDES[spatial_dims]
    box = content_box(whole)
    return Signature(
        pixels=array_digest(array),
        shape=tuple(array.shape),
        mode=f"{kind} {array.dtype}",
        # Of what is seen: an image of one colour is constant, whatever its channels hold.
        low=float(grid.min()),
        high=float(grid.max()),
        box=tuple(
            (float(a / length), float(b / length))
            for (a, b), length in zip(box, grid.shape, strict=True)
        ),
        whole=whole.small(whole.frame, side),
        content=whole.small(box, side),
        detail=detail(whole),
    )


def _mean_of_channels(array: np.ndarray) -> np.ndarray:
    """Return the mean (H, W) float32 over the channels of (H, W, 3).

    Plane by plane: NumPy's mean over so short an axis takes fifteen times as long.
    """
    whole = array.dtype == np.uint8
    total = array[..., 0].astype(np.uint16 if whole else np.result_type(array, np.float32))
    total += array[..., 1]
    total += array[..., 2]
    mean = total.astype(np.float32) if whole else total
    mean /= mean.dtype.type(3)
    return mean.astype(np.float32, copy=False)


def content_box(whole: Shrinkable) -> Box:
    """Return the box of what is not background.

    The background is the median along the frame; borders are found to a fraction of a pixel. An
    image without content, or all content, comes back whole.
    """
    box = whole.frame
    for turn in range(TURNS):
        inner = _content_in(whole, box, edge=round(EDGE * BOX_SIDE[len(box)]) if turn else 0)
        shares = [(b[1] - b[0]) / (a[1] - a[0]) for a, b in zip(box, inner, strict=True)]
        if turn and min(shares) > 1 - WORTH_A_TURN:
            break
        box = inner
    return box


def _content_in(whole: Shrinkable, box: Box, edge: int) -> Box:
    """Return the box of the content inside ``box``, leaving ``edge`` small pixels all around."""
    side = BOX_SIDE[len(box)]
    picture = whole.resized_frame(side) if box == whole.frame else whole.resized(box, side, ROUGHLY)
    small = blurred(picture[None], side / 128)[0]
    small = small[(slice(edge, side - edge),) * len(box)]
    difference = np.abs(small - np.median(_frame(small)))
    # Not the largest difference: a bright speck must not decide what counts as content.
    level = CONTENT * quantile(difference, LARGE)
    if level <= 0:
        return box
    inner = []
    for axis, (first, last) in enumerate(box):
        others = tuple(other for other in range(len(box)) if other != axis)
        low, high = _span(difference.max(axis=others), level)
        scale = (last - first) / side
        inner.append((first + (low + edge) * scale, first + (high + edge) * scale))
    return tuple(inner)


def quantile(values: np.ndarray, share: float) -> np.floating:
    """Return what ``np.quantile`` does of all values, in a seventh of its time.

    NumPy selects both neighbours of the place at once, for which it has no fast way.
    """
    place = (values.size - 1) * share
    below = min(int(place), values.size - 2)
    ordered = np.partition(values, below, axis=None)
    low, high, part = ordered[below], ordered[below + 1 :].min(), place - below
    # From the nearer of the two, as NumPy does.
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def _frame(grid: np.ndarray) -> np.ndarray:
    faces = [np.take(grid, index, axis).ravel() for axis in range(grid.ndim) for index in (0, -1)]
    return np.concatenate(faces)


def _span(profile: np.ndarray, level: float) -> tuple[float, float]:
    """Return where a profile rises above ``level`` first and falls below it last."""
    above = np.flatnonzero(profile > level)
    if not len(above):
        return 0.0, float(len(profile))
    low, high = float(above[0]), float(above[-1])
    if low > 0:
        i = above[0]
        low -= (profile[i] - level) / (profile[i] - profile[i - 1])
    if high < len(profile) - 1:
        i = above[-1]
        high += (profile[i] - level) / (profile[i] - profile[i + 1])
    return max(0.0, low), min(float(len(profile)), high + 1)
