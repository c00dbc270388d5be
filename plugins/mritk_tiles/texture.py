"""One tile: tissue, stain, and fibres so fine that only their direction tells the class.

The density of the stain is a stationary Gaussian texture: noise shaped by an amplitude spectrum.
The spectra of the two classes are transposes of each other, so what does not tell rows from columns
(mean, variance, histogram, every isotropic structure) is distributed alike in both. The fibres are
a band of noise, not a wave: resizing folds a wave back into one bin of the spectrum, where a
matched filter finds it however faint it is. What is left of a band is spread out, and drowns in the
cells.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# Mean wavelength of the fibres in pixels (2 is the least that a grid holds), and the spread of
# their spatial frequency in cycles per pixel.
PERIOD, SPREAD = 2.2, 0.04
# Cells have a few pixels and more: frequencies that every network of the ladder keeps.
CELLS_BELOW = 0.12
# Standard deviations of the density, whose mean is about one half: it hardly ever leaves [0, 1].
FIBRES, CELLS, CLOUDS, GRAIN = 0.07, 0.06, 0.05, 0.02


def draw_tile(
    case: np.random.Generator, tile: np.random.Generator, *, side: int, level: bool, blur: float
) -> np.ndarray:
    """Return a tile, (side, side, 3) uint8.

    Args:
        case: Random numbers of the case: stain and brightness.
        tile: Random numbers of the tile: clouds, cells, grain, fibres.
        side: In pixels.
        level: Whether the fibres lie level, or else upright.
        blur: Standard deviation in pixels of a Gaussian over the density; 0: none.
    """
    from scipy import fft

    stain, brightness = case.uniform(0.5, 0.9, 3), case.uniform(0.44, 0.56)
    noise = tile.standard_normal((side, side), dtype=np.float32)
    shaped = fft.rfft2(noise) * amplitude(side, level=level, blur=blur)
    density = brightness + fft.irfft2(shaped, s=noise.shape)
    light = 1 - stain.astype(np.float32) * density.clip(0, 1)[..., None]
    return np.asarray(np.rint(255 * light), dtype=np.uint8)


@lru_cache(maxsize=16)
def amplitude(side: int, *, level: bool, blur: float) -> np.ndarray:
    """Return what white noise is multiplied by, (side, side // 2 + 1) float32.

    The rows and columns are those of a real two-dimensional Fourier transform.
    """
    across = np.abs(np.fft.fftfreq(side))
    radius = np.hypot(across[:, None], across[None, :])
    wave, along = across[None, :], across[:, None]
    if level:
        wave, along = along, wave
    fibres = np.hypot(wave - 1 / PERIOD, along)
    bands = (
        (FIBRES, np.exp(-((fibres / SPREAD) ** 2) / 2)),
        (CELLS, np.exp(-((radius / CELLS_BELOW) ** 2) / 2)),
        (CLOUDS, np.exp(-2 * (np.pi * side / 24 * radius) ** 2)),
        (GRAIN, np.ones_like(radius)),
    )
    power = np.zeros_like(radius)
    for deviation, band in bands:
        band[0, 0] = 0.0  # the mean of a tile is its case's
        power += (deviation * band) ** 2 / np.mean(band**2)
    softened = np.sqrt(power) * np.exp(-2 * (np.pi * blur * radius) ** 2)
    return np.asarray(softened[:, : side // 2 + 1], dtype=np.float32)
