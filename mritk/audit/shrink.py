"""Small pictures of parts of one grid, antialiased; large images are reduced only once."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mritk.data.shaping import resized_volume

# (first, last) along each axis, in pixels.
Box = tuple[tuple[float, float], ...]

# An image is averaged over blocks first, as long as that leaves so many pixels for each that is
# wanted: it makes large images cheap and changes nothing that counts.
LEAST = 2.0


class Shrinkable:
    """A grid of which small pictures are wanted.

    Args:
        grid: (H, W) or (D, H, W), uint8 or float.
    """

    def __init__(self, grid: np.ndarray) -> None:
        self.grid = grid
        self._reduced: dict[int, Image.Image] = {}

    @property
    def frame(self) -> Box:
        """The box of all of it."""
        return tuple((0.0, float(length)) for length in self.grid.shape)

    def resized(self, box: Box, side: int) -> np.ndarray:
        """Return the part in ``box``, antialiased, with equal sides, as float32."""
        if self.grid.ndim == 3:
            part = self.grid[tuple(slice(int(a), max(int(np.ceil(b)), int(a) + 1)) for a, b in box)]
            return resized_volume(part.astype(np.float32), side)
        factor, shortest = 1, min(last - first for first, last in box)
        while shortest >= 2 * factor * LEAST * side:
            factor *= 2
        (top, bottom), (left, right) = (tuple(x / factor for x in along) for along in box)
        bounds = (left, top, right, bottom)
        image = self._image(factor)
        return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=bounds))

    def small(self, box: Box, side: int) -> np.ndarray:
        """Return that part as uint8, stretched to the full range."""
        values = self.resized(box, side)
        values = values - values.min()
        values *= np.float32(255 / max(values.max(), 1e-6))
        return np.rint(values).astype(np.uint8)

    def _image(self, factor: int) -> Image.Image:
        if factor not in self._reduced:
            # float32 keeps what 8 bits would round away in images of low contrast.
            whole = self._reduced.get(1) or Image.fromarray(self.grid.astype(np.float32))
            self._reduced[1] = whole
            self._reduced[factor] = whole if factor == 1 else whole.reduce(factor)
        return self._reduced[factor]
