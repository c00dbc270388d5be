"""What a site's scanner adds: gain, contrast, thick slices, and all that :mod:`..scanner` does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mritk_phantom.scanner import SITES as RECEIVERS
from mritk_phantom.scanner import Site, receive

# A volume holds white matter in T1 at about this grey level, at a gain of 1.
WHITE = 115.0


@dataclass(frozen=True)
class HeadScanner:
    """A scanner of whole heads.

    Attributes:
        receiver: Contrast in T1, coil, point spread and noise.
        gain: Brightness of all that it shows.
        gamma: Exponent of the brightness: below 1, what is dark is shown brighter.
        thickness: Width in mm of the slices, which are axial.
    """

    receiver: Site
    gain: float
    gamma: float
    thickness: float


SITES = tuple(
    HeadScanner(receiver, *values)
    for receiver, values in zip(
        RECEIVERS,
        ((1.0, 1.0, 0.0), (0.85, 0.92, 3.0), (1.12, 1.06, 1.5), (0.95, 0.85, 6.0)),
        strict=True,
    )
)


def show(
    rng: np.random.Generator, signal: np.ndarray, scanner: HeadScanner, resolution: float
) -> np.ndarray:
    """Return a signal, float32 (X, Y, Z), as the scanner shows it: uint8 of that shape."""
    if scanner.thickness:
        # A slice profile as wide as the slice has this standard deviation.
        signal = gaussian_filter1d(signal, scanner.thickness / 12**0.5 / resolution * 1.5, axis=2)
    received = receive(rng, signal, scanner.receiver, resolution)
    gain = scanner.gain * rng.uniform(0.92, 1.08) * WHITE
    shown = gain * np.power(received, np.float32(scanner.gamma * rng.uniform(0.96, 1.04)))
    return np.rint(shown).clip(0, 255).astype(np.uint8)
