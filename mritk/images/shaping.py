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
        return self.preprocessing.of(resized, spatial_dims=self.spatial_dims)

    def _resized(self, array: np.ndarray) -> np.ndarray:
        if self.spatial_dims == 2:
            if array.ndim != 2 and array.shape[2:] != (3,):
                raise DataError(f"an image must be (H, W) or (H, W, 3), not {array.shape}")
            image = np.ascontiguousarray(without_equal_channels(array))
            return _resized_image(image, self.size, self.interpolation)
        if array.ndim != 3:
            raise DataError(f"a volume must have 3 dimensions, not shape {array.shape}")
        return array if self.size is None else resampled_volume(array, (self.size,) * 3)


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
    if image.dtype == np.uint8 or image.ndim == 2:
        return resized_by_pillow(image, (size, size), interpolation)
    planes = np.moveaxis(image, -1, 0)
    return np.stack([resized_by_pillow(p, (size, size), interpolation) for p in planes], axis=-1)


def resized_by_pillow(image: np.ndarray, shape: tuple[int, ...], interpolation: str) -> np.ndarray:
    """Return an image of another height and width: (H, W) uint8 or float32, or (H, W, 3) uint8."""
    height, width = shape
    whole = Image.fromarray(np.ascontiguousarray(image))
    resized = np.asarray(whole.resize((width, height), RESAMPLING[interpolation]))
    # Bicubic interpolation overshoots at edges.
    return resized if image.dtype == np.uint8 else resized.clip(0, 1)


def resampled_volume(volume: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a volume (D, H, W) of another shape, uint8 if it is, else float32."""
    if volume.shape == shape:
        return volume
    resampled = linearly_resampled(volume, shape)
    if volume.dtype == np.uint8:
        return np.clip(np.rint(resampled), 0, 255).astype(np.uint8)
    return resampled


def linearly_resampled(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array resampled linearly, as float32, smoothed first along axes that shrink."""
    values = values.astype(np.float32)
    if values.shape == shape:
        return values
    from scipy import ndimage

    factors = [new / old for new, old in zip(shape, values.shape, strict=True)]
    # A Gaussian of this width suppresses what the coarser grid cannot hold.
    values = ndimage.gaussian_filter(values, [max(0.0, (1 / f - 1) / 2) for f in factors])
    zoomed: np.ndarray = ndimage.zoom(values, factors, order=1, mode="nearest", grid_mode=True)
    return zoomed
