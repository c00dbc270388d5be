"""Decode one image."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from mritk import DataError

GREY = frozenset({"1", "L", "LA"})
DEEP = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


def read_image(content: bytes) -> np.ndarray:
    """Return an encoded image as uint8, (H, W) if it is grey, else (H, W, 3).

    Images of more than 8 bits are scaled linearly from their own minimum and maximum to 0 … 255:
    MRI intensities have no unit. Transparency is dropped.

    Raises:
        DataError: It is empty, truncated, not an image or several, or holds NaN or infinities.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise DataError(f"{image.n_frames} images in one; mritk takes one per row")
            image.load()
            if image.mode in DEEP:
                return _scaled(np.asarray(image, dtype=np.float64))
            return np.asarray(image.convert("L" if image.mode in GREY else "RGB"))
    except UnidentifiedImageError as error:
        raise DataError("not an image" if content else "empty") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{error}") from error


def _scaled(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError("holds NaN or infinite values")
    low, high = values.min(), values.max()
    return np.rint((values - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
