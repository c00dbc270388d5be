"""Decode the slices of a series into one volume of grey levels."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut

from mritk import DataError
from mritk_dicom.header import Header

logger = logging.getLogger("mritk")

# Percentiles of the non-zero pixels that become black and white.
BLACK, WHITE = 0.5, 99.5


def read_volume(slices: Sequence[Header]) -> np.ndarray:
    """Return the series as uint8 (D, H, W), its slices as they were acquired.

    The modality transformation (RescaleSlope and RescaleIntercept, or a lookup table) is applied
    to each slice; then MONOCHROME1 is inverted, so that the largest value of the series becomes 0;
    then values are scaled linearly so that the 0.5th percentile of the non-zero pixels of the
    series becomes 0 and the 99.5th 255, and clipped. If these coincide, the minimum and maximum
    are taken. NaN and infinite values count as 0.

    Raises:
        DataError: A slice cannot be decoded, or all pixels are equal. It names the slice by its
            position and the log names the file, because mritk stores the reasons of unreadable
            samples, and names of files often hold those of patients.
    """
    values = np.stack([_plane(header, k, len(slices)) for k, header in enumerate(slices)])
    values[~np.isfinite(values)] = 0
    if slices[0].photometric == "MONOCHROME1":
        values = values.max() - values
    return scaled(values)


def _plane(header: Header, position: int, count: int) -> np.ndarray:
    try:
        data = dcmread(header.path)
        plane = apply_modality_lut(data.pixel_array, data).astype(np.float32)
        if plane.shape != (header.rows, header.columns):
            raise ValueError(f"its pixels have the shape {plane.shape}")
    except MemoryError:
        raise
    except Exception as error:  # pydicom and its decoders raise whatever they trip over
        logger.warning("%s cannot be decoded: %s", header.path, " ".join(str(error).split()))
        raise DataError(
            f"the pixels of slice {position + 1} of {count} cannot be decoded; a warning on stderr "
            f"names the file, and 'python -m mritk_dicom PATH' lists the folders"
        ) from None
    return plane


def scaled(values: np.ndarray) -> np.ndarray:
    """Return finite ``values`` as uint8 between the percentiles of those that are not zero.

    Raises:
        DataError: All are equal.
    """
    filled = values[values != 0]
    low, high = np.percentile(filled, (BLACK, WHITE)) if filled.size else (0.0, 0.0)
    if low == high:
        low, high = values.min(), values.max()
    if low == high:
        raise DataError(f"every pixel of the series is {low:g}")
    # In double precision, because two large floats may differ by more than the largest float32.
    shares = (np.clip(values, low, high).astype(np.float64) - low) / (float(high) - float(low))
    return np.rint(shares * 255).astype(np.uint8)
