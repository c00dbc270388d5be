"""Read one scan in one file, be it an image or a volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mritk import read_image
from mritk_folders.kind import Kind, kind_of


def read_scan(path: Path) -> np.ndarray:
    """Return the image, uint8 (H, W) or (H, W, 3), or the volume, uint8 (D, H, W), of a file.

    Raises:
        DataError: See :func:`mritk.read_image` and :func:`mritk_folders.nifti.read_volume`.
    """
    if kind_of(path.name) is Kind.VOLUME:
        from mritk_folders.nifti import read_volume

        return read_volume(path)
    return read_image(path)
