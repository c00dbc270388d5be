"""Small pictures of parts of one grid, antialiased; large images are reduced only once."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mritk.images.shaping import resampled_volume

# (first, last) along each axis, in pixels.
Box = tuple[tuple[float, float], ...]

# An image is averaged over blocks first, as long as that leaves so many pixels for each that is
# wanted: it makes large images cheap and changes nothing that counts.
LEAST = 2.0
# Enough to find the borders of what is shown, which are blurred before.
ROUGHLY = 1.0


class Shrinkable:
    """A grid of which small pictures are wanted.

    Args:
        grid: (H, W) or (D, H, W), uint8 or float.
    """

    def __init__(self, grid: np.ndarray) -> None:
        self.grid = grid
        # By how often it was halved.
        self._halves = {0: grid}
        self._images: dict[int, Image.Image] = {}
        self._frames: dict[int, np.ndarray] = {}

    @property
    def frame(self) -> Box:
        """The box of all of it."""
        return tuple((0.0, float(length)) for length in self.grid.shape)

    def resized_frame(self, side: int) -> np.ndarray:
        """Return the whole frame, likewise, computed once."""
        if side not in self._frames:
            self._frames[side] = self.resized(self.frame, side)
        return self._frames[side]

    def resized(self, box: Box, side: int, least: float = LEAST) -> np.ndarray:
        """Return the part in ``box``, antialiased, with equal sides, as float32.

        Blocks are averaged first as long as that leaves ``least`` pixels for each of the result.
        """
        if self.grid.ndim == 3:
            part = self.grid[tuple(slice(int(a), max(int(np.ceil(b)), int(a) + 1)) for a, b in box)]
            return resampled_volume(part.astype(np.float32), (side,) * 3)
        times, shortest = 0, min(last - first for first, last in box)
        while shortest >= 2 ** (times + 1) * least * side:
            times += 1
        (top, bottom), (left, right) = (tuple(place / 2**times for place in along) for along in box)
        bounds = (left, top, right, bottom)
        image = self._image(times).resize((side, side), Image.Resampling.BILINEAR, box=bounds)
        return np.asarray(image)

    def small(self, box: Box, side: int) -> np.ndarray:
        """Return that part as uint8, stretched to the full range."""
        values = self.resized_frame(side) if box == self.frame else self.resized(box, side)
        values = values - values.min()
        values *= np.float32(255 / max(values.max(), 1e-6))
        return np.rint(values).astype(np.uint8)

    def _image(self, times: int) -> Image.Image:
        if times not in self._images:
            grid = self._halved(times)
            # float32 keeps what 8 bits would round away in images of low contrast.
            self._images[times] = (
                Image.fromarray(grid).convert("F")  # a fifth of the time that NumPy takes
                if grid.dtype == np.uint8
                else Image.fromarray(grid.astype(np.float32, copy=False))
            )
        return self._images[times]

    def _halved(self, times: int) -> np.ndarray:
        if times not in self._halves:
            self._halves[times] = halved(self._halved(times - 1))
        return self._halves[times]


def halved(grid: np.ndarray) -> np.ndarray:
    """Return an image (H, W), uint8 or float, at half its sides rounded up, float32."""
    if any(length % 2 for length in grid.shape):
        grid = np.pad(grid, [(0, length % 2) for length in grid.shape], mode="edge")
    if grid.dtype == np.uint8:  # two neighbours in one number: no access to every other pixel
        pairs = np.ascontiguousarray(grid).view(np.uint16)
        columns = (pairs & np.uint16(255)) + (pairs >> np.uint16(8))
        blocks: np.ndarray = (columns[::2] + columns[1::2]).astype(np.float32)
    else:
        rows = np.add(grid[::2], grid[1::2], dtype=np.float32, casting="same_kind")
        blocks = np.add(rows[:, ::2], rows[:, 1::2], dtype=np.float32)
    blocks *= np.float32(0.25)
    return blocks
