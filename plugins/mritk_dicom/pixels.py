"""Decode the slices of a series into one volume of grey levels."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut

from mritk import DataError, grey_levels, one_line, open_regular_file, require_memory
from mritk_dicom.header import Header

logger = logging.getLogger("mritk")


def read_volume(slices: Sequence[Header]) -> np.ndarray:
    """Return the series as uint8 (D, H, W), its slices as they were acquired.

    The modality transformation (RescaleSlope and RescaleIntercept, or a lookup table) is applied
    to each slice; then MONOCHROME1 is inverted, so that the largest value of the series becomes 0;
    then intensities become grey levels, see :func:`mritk.grey_levels`. Pixels that the file calls
    padding (PixelPaddingValue, PixelPaddingRangeLimit) and values that are no numbers do not
    count in any of this and become 0.

    Raises:
        DataError: A slice cannot be decoded, the series is too large for this machine, or all
            pixels are equal or padding. It names the slice by its position and the log names the
            file, because mritk stores the reasons of unreadable samples, and names of files often
            hold those of patients.
    """
    shape = (len(slices), slices[0].rows, slices[0].columns)
    # As floats, once more to find the percentiles, what was measured, and the grey levels.
    require_memory((4 + 4 + 1 + 1) * math.prod(shape))
    values = np.empty(shape, dtype=np.float32)
    for k, header in enumerate(slices):
        values[k] = _plane(header, k, len(slices))
    measured = np.isfinite(values)
    if not measured.any():
        raise DataError("every pixel of the series is padding or NaN")
    if slices[0].photometric == "MONOCHROME1":
        np.subtract(values.max(where=measured, initial=-np.inf), values, out=values)
    grey = grey_levels(values)
    if not grey.any():
        raise DataError(f"every pixel of the series is {values[measured][0]:g}")
    return grey


def _plane(header: Header, position: int, count: int) -> np.ndarray:
    """Return the intensities of a slice, float32 (H, W), NaN where it is padded."""
    try:
        with open_regular_file(header.path) as stream:
            data = dcmread(stream)
        _check_bits(data)
        stored = data.pixel_array
        plane = apply_modality_lut(stored, data).astype(np.float32)
        plane[_padding(stored, data)] = np.nan
        if plane.shape != (header.rows, header.columns):
            raise ValueError(f"its pixels have shape {plane.shape}")
    except MemoryError:
        raise
    except Exception as error:  # pydicom and its decoders raise whatever they trip over
        logger.warning("%s cannot be decoded: %s", header.path, one_line(error))
        raise DataError(
            f"the pixels of slice {position + 1} of {count} cannot be decoded; see the warning on "
            "stderr for the file, and 'python -m mritk_dicom PATH' for the folders"
        ) from None
    return plane


def _check_bits(data: Any) -> None:
    # pydicom takes the lowest bits, whatever HighBit says; the standard allows nothing else since
    # 2004 (PS3.5, 8.1.1), but archives are older.
    if "HighBit" in data and data.HighBit != data.BitsStored - 1:
        raise ValueError(f"HighBit is {data.HighBit}, not one less than BitsStored")


def _padding(stored: np.ndarray, data: Any) -> np.ndarray:
    """Return which pixels are padding, bool (H, W); PS3.3, C.7.5.1.1.2."""
    first = data.get("PixelPaddingValue")
    if first is None or stored.dtype.kind not in "iu":
        return np.zeros(stored.shape, dtype=bool)
    last = data.get("PixelPaddingRangeLimit")
    limits = [first, first if last is None else last]
    # Writers take the attribute for unsigned where pixels are signed, and the reverse.
    low, high = sorted(np.asarray(limits, dtype=np.int64).astype(stored.dtype))
    return (stored >= low) & (stored <= high)
