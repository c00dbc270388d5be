"""One tile: tissue, stain, and fibres so fine that only their direction tells the class."""

from __future__ import annotations

import numpy as np

# Wavelength of the fibres in pixels; 2 is the least that a grid holds. Resized by Pillow (bicubic)
# from 456 px, their amplitude of 25 grey levels falls to 11 at 380 px, 3 at 300, 0.8 at 260, 0.2 at
# 240 and 0.05 at 224, less than rounding to bytes leaves.
PERIOD = 2.2
FIBRES, GRAIN, TISSUE = 0.10, 0.05, 0.10


def draw_tile(
    case: np.random.Generator, tile: np.random.Generator, *, side: int, level: bool, blur: float
) -> np.ndarray:
    """Return a tile, (side, side, 3) uint8.

    Everything but the direction of the fibres has the same distribution in both classes: clouds of
    tissue, stain and brightness of the case, grain.

    Args:
        case: Random numbers of the case.
        tile: Random numbers of the tile.
        side: In pixels.
        level: Whether the fibres lie level, or else upright.
        blur: Standard deviation in pixels of a Gaussian over the finished pattern; 0: none.
    """
    from scipy import ndimage

    stain, brightness = case.uniform(0.3, 0.9, 3), case.uniform(0.40, 0.60)
    clouds = ndimage.gaussian_filter(tile.standard_normal((side, side)), side / 24, mode="wrap")
    density = brightness + TISSUE * clouds / clouds.std()
    across = np.arange(side) + tile.uniform(0, PERIOD)
    fibres = FIBRES * np.sin(2 * np.pi * across / PERIOD)
    density = density + (fibres[:, None] if level else fibres[None, :])
    density = density + GRAIN * tile.standard_normal((side, side))
    if blur:
        density = ndimage.gaussian_filter(density, blur, mode="reflect")
    light = 1 - stain * density.clip(0, 1)[..., None]
    return np.asarray(np.rint(255 * light), dtype=np.uint8)
