"""What the audit keeps of an image or a volume: digests, facts, and small pictures.

The first picture is the whole frame, the second the content alone, without padding and empty
background. Both are square (or cubic) and stretched to the full range of 8 bits, so that neither
the size of the image nor its brightness and contrast matter. Of an image there are three more, the
whole frame in more detail: as it is, equalised, and with its edges enhanced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mritk.data.shaping import resized_volume

# Sides of the small pictures. A 64th of a head is 3 mm; what two neighbouring slices of 1 mm differ
# in is still seen there, and what JPEG does to fine detail is not.
SIDES = {2: 64, 3: 24}

# Side of the detailed pictures, which tell a sharpened copy from a neighbouring slice, and the
# shape of all; volumes have none.
DETAIL = 128
DETAIL_SHAPES = {2: (3, DETAIL, DETAIL), 3: (0,)}

# Content is what differs from the background by this share of the largest difference.
CONTENT = 0.15
# Padding of another colour than the background is taken off in a turn of its own. The blurred edge
# of the padding is left out of the second turn, which only counts if it takes off more than that.
TURNS = 2
EDGE = 5 / 128
WORTH_A_TURN = 0.1
BOX_SIDE = {2: 128, 3: 48}


@dataclass(frozen=True, eq=False)
class Sketch:
    """The facts of one sample.

    Attributes:
        pixels: SHA-256 of the decoded array, its shape and its dtype; equal grey and colour files
            of one picture have one digest.
        shape: Shape as decoded.
        mode: ``grey``, ``colour`` or ``volume``, with the dtype.
        low: Smallest value.
        high: Largest value.
        coverage: Share of the frame that the box around the content covers.
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
    coverage: float
    whole: np.ndarray
    content: np.ndarray
    detail: np.ndarray

    @property
    def constant(self) -> bool:
        """Whether all values are equal."""
        return self.low == self.high


def sketch(array: np.ndarray, spatial_dims: int) -> Sketch:
    """Return the sketch of one decoded sample.

    Args:
        array: (H, W), (H, W, 3) or, with 3 spatial dimensions, (D, H, W); uint8 or float.
        spatial_dims: 2 or 3.

    Raises:
        ValueError: The array has no such shape, is empty, or holds values that are not finite.
    """
    if array.size == 0:
        raise ValueError(f"is empty: shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("holds NaN or infinite values")
    array = _without_equal_channels(array) if spatial_dims == 2 else array
    if array.ndim != spatial_dims and not (spatial_dims == 2 and array.shape[2:] == (3,)):
        raise ValueError(f"has shape {array.shape}")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ValueError(f"holds {array.dtype}")
    kind = "volume" if spatial_dims == 3 else "grey" if array.ndim == 2 else "colour"
    grid = array if array.ndim == spatial_dims else array.mean(axis=-1).astype(np.float32)
    header = f"{array.dtype.str}{array.shape}".encode()
    whole_box = tuple((0.0, float(side)) for side in grid.shape)
    box = content_box(grid)
    return Sketch(
        pixels=hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest(),
        shape=tuple(array.shape),
        mode=f"{kind} {array.dtype}",
        # Of what is seen: an image of one colour is constant, whatever its channels hold.
        low=float(grid.min()),
        high=float(grid.max()),
        coverage=float(np.prod([last - first for first, last in box]) / grid.size),
        whole=_small(grid, whole_box, SIDES[spatial_dims]),
        content=_small(grid, box, SIDES[spatial_dims]),
        detail=_detail(grid),
    )


def _without_equal_channels(array: np.ndarray) -> np.ndarray:
    if array.ndim == 3 and array.shape[-1] == 3:
        grey = array[..., 0]
        if np.array_equal(grey, array[..., 1]) and np.array_equal(grey, array[..., 2]):
            return grey
    return array


Box = tuple[tuple[float, float], ...]


def content_box(grid: np.ndarray) -> Box:
    """Return (first, last) along each axis, in pixels, of what is not background.

    The background is the median along the frame; borders are found to a fraction of a pixel. An
    image without content, or all content, comes back whole.
    """
    box: Box = tuple((0.0, float(length)) for length in grid.shape)
    for turn in range(TURNS):
        inner = _content_in(grid, box, edge=round(EDGE * BOX_SIDE[grid.ndim]) if turn else 0)
        shares = [(b[1] - b[0]) / (a[1] - a[0]) for a, b in zip(box, inner, strict=True)]
        if turn and min(shares) > 1 - WORTH_A_TURN:
            break
        box = inner
    return box


def _content_in(grid: np.ndarray, box: Box, edge: int) -> Box:
    """Return the box of the content inside ``box``, leaving ``edge`` small pixels all around."""
    from scipy import ndimage

    side = BOX_SIDE[grid.ndim]
    small = _resized(grid, box, side)
    small = ndimage.gaussian_filter(small, side / 128, mode="nearest")
    small = small[(slice(edge, side - edge),) * grid.ndim]
    difference = np.abs(small - np.median(_frame(small)))
    # The 98th percentile: a bright speck must not decide what counts as content.
    level = CONTENT * np.percentile(difference, 98)
    if level <= 0:
        return box
    inner = []
    for axis, (first, last) in enumerate(box):
        others = tuple(other for other in range(grid.ndim) if other != axis)
        low, high = _span(difference.max(axis=others), level)
        scale = (last - first) / side
        inner.append((first + (low + edge) * scale, first + (high + edge) * scale))
    return tuple(inner)


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


def _small(grid: np.ndarray, box: Box, side: int) -> np.ndarray:
    values = _resized(grid, box, side)
    values = values - values.min()
    values = values * (255 / max(values.max(), 1e-6))
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _detail(grid: np.ndarray) -> np.ndarray:
    if grid.ndim == 3:
        return np.zeros(DETAIL_SHAPES[3], np.uint8)
    box = tuple((0.0, float(length)) for length in grid.shape)
    levels = _in_8_bits(grid)
    pictures = (grid, _equalised(levels), _edges_enhanced(levels))
    return np.stack([_small(picture, box, DETAIL) for picture in pictures])


def _in_8_bits(grid: np.ndarray) -> np.ndarray:
    """Return a grid as uint8, stretched to the full range unless it fits as it is."""
    if grid.dtype == np.uint8:
        return grid
    low, high = float(grid.min()), float(grid.max())
    if low < 0 or high > 255 or high <= 1:
        grid = (grid - low) * (255 / max(high - low, 1e-6))
    return np.rint(grid).clip(0, 255).astype(np.uint8)


def _equalised(grid: np.ndarray) -> np.ndarray:
    """Return every value's middle rank: the same whatever monotone curve was applied before."""
    image = Image.fromarray(grid)
    counts = np.asarray(image.histogram())
    ranks = (np.cumsum(counts) - counts / 2) * (255 / grid.size)
    return np.asarray(image.point(np.rint(ranks).astype(np.uint8).tolist()))


def _edges_enhanced(grid: np.ndarray) -> np.ndarray:
    """Return what Pillow's EDGE_ENHANCE makes of a grid, several times as fast."""
    wide = grid.astype(np.int16)
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    enhanced = grid.copy()
    if around.size:
        inner = wide[1:-1, 1:-1]
        enhanced[1:-1, 1:-1] = ((11 * inner - around + 1) >> 1).clip(0, 255)
    return enhanced


def _resized(grid: np.ndarray, box: Box, side: int) -> np.ndarray:
    """Return the part of ``grid`` in ``box``, antialiased, with equal sides, as float32."""
    if grid.ndim == 3:
        part = grid[tuple(slice(int(a), max(int(np.ceil(b)), int(a) + 1)) for a, b in box)]
        return resized_volume(part.astype(np.float32), side)
    (top, bottom), (left, right) = box
    if grid.dtype != np.uint8:
        grid = grid.astype(np.float32)
    # float32 keeps what 8 bits would round away in images of low contrast.
    image = Image.fromarray(grid)
    if grid.dtype == np.uint8 and min(bottom - top, right - left) > 4 * side:
        # Averaging whole blocks first makes large images cheap and changes nothing that counts.
        image = image.resize(
            (4 * side, 4 * side), Image.Resampling.BOX, box=(left, top, right, bottom)
        ).convert("F")
        return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    image = image.convert("F")
    bounds = (left, top, right, bottom)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=bounds))
