"""How an array as a dataset gives it becomes a row of the decoded ones.

Images are resized to a square, volumes to a cube, with antialiasing unless the interpolation is
``nearest``. Images that are grey throughout keep one channel. The source of this file is part of
the key of decoded images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mritk.errors import DataError
from mritk.files.code_state import digest_of_sources, versions
from mritk.images import preprocessing
from mritk.images.preprocessing import Preprocessing

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True)
class Shaping:
    """How an array as a dataset gives it becomes a row of the decoded ones.

    Attributes:
        spatial_dims: 2 for images, 3 for volumes.
        size: Side in pixels or voxels; None: as it is.
        interpolation: Used to resize images.
        preprocessing: Applied after resizing.
    """

    spatial_dims: int
    size: int | None
    interpolation: str
    preprocessing: Preprocessing

    def of(self, array: np.ndarray) -> np.ndarray:
        """Return the row.

        Raises:
            DataError: The array is of a wrong dtype, range or shape.
        """
        resized = self._resized(_checked(array))
        if not self.preprocessing:
            return resized
        return self.preprocessing.of(resized, spatial_dims=self.spatial_dims)

    def _resized(self, array: np.ndarray) -> np.ndarray:
        if self.spatial_dims == 2:
            if array.ndim != 2 and array.shape[2:] != (3,):
                raise DataError(f"an image must be (H, W) or (H, W, 3), not {array.shape}")
            image = np.ascontiguousarray(without_equal_channels(array))
            return _resized_image(image, self.size, self.interpolation)
        if array.ndim != 3:
            raise DataError(f"a volume must have 3 dimensions, not shape {array.shape}")
        return resized_volume(array, self.size)


@cache
def shaping_code() -> tuple[str, ...]:
    """Return what rows depend on besides arrays: this code, and the libraries that resize."""
    sources = [digest_of_sources(Path(file)) for file in (__file__, preprocessing.__file__)]
    return (*sources, *versions(("numpy", "pillow", "scipy")))


def _checked(array: np.ndarray) -> np.ndarray:
    """Return an array as uint8 or float32; refuse one that holds anything but pixels."""
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"has dtype {array.dtype}; expected uint8, or floats in [0, 1]")
        array = np.asarray(array, dtype=np.float32)
        if not np.isfinite(array).all():
            raise DataError("contains NaN or infinite values")
        if array.size and (array.min() < 0 or array.max() > 1):
            raise DataError(f"has values from {array.min():g} to {array.max():g}, not in [0, 1]")
    return array


def without_equal_channels(array: np.ndarray) -> np.ndarray:
    """Return (H, W) of (H, W, 3) with three equal channels; any other array as it is."""
    if array.ndim != 3 or array.shape[-1] != 3:
        return array
    grey: np.ndarray = array[..., 0]
    same = np.array_equal(grey, array[..., 1]) and np.array_equal(grey, array[..., 2])
    return grey if same else array


def _resized_image(image: np.ndarray, size: int | None, interpolation: str) -> np.ndarray:
    if size is None or image.shape[:2] == (size, size):
        return image
    resample = RESAMPLING[interpolation]
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((size, size), resample))
    channels = image[..., None] if image.ndim == 2 else image
    planes = [
        # Bicubic interpolation overshoots at edges.
        np.asarray(Image.fromarray(channels[..., c]).resize((size, size), resample)).clip(0, 1)
        for c in range(channels.shape[-1])
    ]
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def resized_volume(volume: np.ndarray, size: int | None) -> np.ndarray:
    """Return a volume (D, H, W) resized to a cube, smoothed first where it shrinks."""
    if size is None or volume.shape == (size, size, size):
        return volume
    from scipy import ndimage

    factors = [size / side for side in volume.shape]
    smooth = volume.astype(np.float32)
    # A Gaussian of this width suppresses what the coarser grid cannot hold.
    sigma = [max(0.0, (1 / factor - 1) / 2) for factor in factors]
    smooth = ndimage.gaussian_filter(smooth, sigma)
    resized = ndimage.zoom(smooth, factors, order=1, mode="nearest", grid_mode=True)
    if volume.dtype == np.uint8:
        return np.clip(np.rint(resized), 0, 255).astype(np.uint8)
    return resized
