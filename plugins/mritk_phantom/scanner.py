"""How a site's scanner turns tissue into signal: contrast, coil sensitivity, sharpness, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from mritk_phantom.deformation import smooth_noise


@dataclass(frozen=True)
class Site:
    """A scanner and its T1 sequence; brightness is in units of white matter.

    Attributes:
        name: The site's name.
        grey: Brightness of grey matter.
        fluid: Brightness of cerebrospinal fluid.
        uptake: How strongly contrast agent shows, as a factor.
        bias: Standard deviation of the logarithm of the coil sensitivity.
        bias_scale: Distance in mm over which the sensitivity changes.
        blur: Standard deviation of the point spread in mm.
        noise: Standard deviation of the noise in each of the two receiver channels.
    """

    name: str
    grey: float
    fluid: float
    uptake: float
    bias: float
    bias_scale: float
    blur: float
    noise: float


SITES = (
    Site("site-a", 0.74, 0.26, 1.00, 0.04, 110, 0.7, 0.020),
    Site("site-b", 0.68, 0.20, 1.08, 0.08, 80, 0.9, 0.028),
    Site("site-c", 0.78, 0.30, 0.92, 0.06, 95, 1.2, 0.018),
    Site("site-d", 0.72, 0.24, 0.96, 0.10, 65, 0.8, 0.036),
)


def receive(
    rng: np.random.Generator, signal: np.ndarray, site: Site, resolution: float
) -> np.ndarray:
    """Return the magnitude image of a signal; both float32 (X, Y, Z), white matter about 1.

    The noise is Rician: the magnitude of a complex signal with independent Gaussian noise in both
    channels (Gudbjartsson and Patz, Magnetic Resonance in Medicine 34, 1995).
    """
    blurred = gaussian_filter(signal, site.blur * rng.uniform(0.85, 1.15) / resolution)
    bias = smooth_noise(rng, signal.shape, resolution, site.bias_scale)
    blurred *= np.exp(np.float32(site.bias) * bias)
    sigma = np.float32(site.noise * rng.uniform(0.8, 1.25))
    noise = [rng.standard_normal(signal.shape, dtype=np.float32) for _ in range(2)]
    return np.hypot(blurred + sigma * noise[0], sigma * noise[1])
