"""Read one image file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mritk import DataError, stand_in

GREY_MODES = frozenset({"1", "L", "LA"})
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


def read_image(path: Path) -> np.ndarray:
    """Return an image as uint8, (H, W) if its file is grey, else (H, W, 3).

    Images of more than 8 bits are scaled linearly from their own minimum and maximum to 0 … 255:
    MRI intensities have no unit. Transparency is dropped.

    Raises:
        DataError: The file is empty, truncated, not an image or a stack of several, or holds
            values that are no numbers.
    """
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise DataError(f"{image.n_frames} images in one file; store them one by one")
            image.load()
            if image.mode in DEEP_MODES:
                return _scaled(np.asarray(image, dtype=np.float64))
            return np.asarray(image.convert("L" if image.mode in GREY_MODES else "RGB"))
    except UnidentifiedImageError as error:
        if other := stand_in(path):
            raise DataError(f"not an image: it {other}") from error
        raise DataError("empty file" if path.stat().st_size == 0 else "not an image") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{error}") from error


def _scaled(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError("holds NaN or infinite values")
    low, high = values.min(), values.max()
    span = high - low or 1.0
    return np.rint((values - low) / span * 255).astype(np.uint8)
