"""Pixels as a dataset gives them, and how one image or volume is resized.

Images are resized with antialiasing unless the interpolation is ``nearest``; those that are grey
throughout keep one channel. The source of this file is part of the key of decoded images.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from mritk.errors import DataError

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


def pixels_of(array: np.ndarray, spatial_dims: int) -> np.ndarray:
    """Return an image (H, W) or (H, W, 3), or a volume (D, H, W), as uint8 or float32.

    Raises:
        DataError: The array is empty, or of a wrong dtype, range or shape.
    """
    if not array.size:
        raise DataError(f"is empty: shape {array.shape}")
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"has dtype {array.dtype}; expected uint8, or floats in [0, 1]")
        array = np.asarray(array, dtype=np.float32)
        if not np.isfinite(array).all():
            raise DataError("contains NaN or infinite values")
        if array.min() < 0 or array.max() > 1:
            raise DataError(f"has values from {array.min():g} to {array.max():g}, not in [0, 1]")
    if spatial_dims == 2:
        if array.ndim != 2 and array.shape[2:] != (3,):
            raise DataError(f"an image must be (H, W) or (H, W, 3), not {array.shape}")
        return np.ascontiguousarray(without_equal_channels(array))
    if array.ndim != 3:
        raise DataError(f"a volume must have 3 dimensions, not shape {array.shape}")
    return array


def without_equal_channels(array: np.ndarray) -> np.ndarray:
    """Return (H, W) of (H, W, 3) with three equal channels; any other array as it is."""
    if array.ndim != 3 or array.shape[-1] != 3:
        return array
    values = array.reshape(-1)
    # Of neighbours in memory: twice as fast as of channels, which are every third value.
    same = values[1:] == values[:-1]
    same[2::3] = True  # the last of a pixel and the first of the next
    return array[..., 0] if same.all() else array


def resized_by_pillow(image: np.ndarray, shape: tuple[int, ...], interpolation: str) -> np.ndarray:
    """Return an image of another height and width: (H, W) uint8 or float32, or (H, W, 3) uint8."""
    if image.shape[:2] == shape:
        return image
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
