"""Read one file of the set: a MATLAB v7.3 file, which is HDF5, with the struct ``cjdata``.

MATLAB stores arrays column by column and HDF5 libraries read row by row, so that every matrix
comes out transposed; text is an array of character codes; an empty matrix is stored as its size,
with an attribute that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mritk import DataError, require_memory

LABELS = (1, 2, 3)


@dataclass(frozen=True)
class SliceHeader:
    """What a file says of its slice.

    Attributes:
        label: 1 meningioma, 2 glioma, 3 pituitary tumour.
        patient: The publisher's pseudonym of the patient.
    """

    label: int
    patient: str


def read_header(path: Path) -> SliceHeader:
    """Return label and patient, and check that image and mask are there and fit each other.

    No pixel is read.

    Raises:
        DataError: The file is empty, truncated, not MATLAB v7.3, or not laid out like those of the
            set. The message gives the reason and not the file.
    """
    with _cjdata(path) as cjdata:
        image, mask = _array(cjdata, "image"), _array(cjdata, "tumorMask")
        if image.ndim != 2 or image.dtype.kind not in "iuf":
            raise DataError(f"cjdata/image is {image.dtype} {image.shape}, not a matrix of numbers")
        if mask.shape != image.shape:
            raise DataError(
                f"cjdata/tumorMask has shape {mask.shape[::-1]}, cjdata/image {image.shape[::-1]}"
            )
        return SliceHeader(_label(_array(cjdata, "label")), _patient(_array(cjdata, "PID")))


def read_slice(path: Path) -> np.ndarray:
    """Return the image as MATLAB shows it, uint8 (H, W).

    The slice is scaled linearly so that its own minimum becomes 0 and its maximum 255; a constant
    slice becomes 0. MRI intensities have no unit, and their range differs from slice to slice of
    this set. Minimum and maximum rather than percentiles, because the brightest pixels of a
    contrast-enhanced slice are often the tumour itself, which clipping would flatten, and because
    the PNG copies of this set in other collections then stay comparable with it. The price is that
    a few very bright pixels, such as vessels, darken all tissue.

    Raises:
        DataError: The file cannot be read, or holds NaN or infinite values.
    """
    with _cjdata(path) as cjdata:
        values = _array(cjdata, "image")[()].T.astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError("cjdata/image contains NaN or infinite values")
    low, high = values.min(), values.max()
    scaled = np.rint((values - low) / (high - low or 1.0) * 255)
    return np.ascontiguousarray(scaled, dtype=np.uint8)


def read_lesion(path: Path) -> np.ndarray:
    """Return the mask of the tumour, bool (H, W).

    Raises:
        DataError: The file cannot be read.
    """
    with _cjdata(path) as cjdata:
        return np.ascontiguousarray(_array(cjdata, "tumorMask")[()].T != 0)


@contextmanager
def _cjdata(path: Path) -> Iterator[h5py.Group]:
    try:
        if path.stat().st_size == 0:
            raise DataError("empty file")
        if not h5py.is_hdf5(path):
            raise DataError("not a MATLAB v7.3 (HDF5) file; download it again")
        with h5py.File(path, "r") as file:
            group = file.get("cjdata")
            if not isinstance(group, h5py.Group):
                raise DataError("has no cjdata, unlike every slice of the dataset")
            yield group
    # What HDF5 cannot decode surfaces as any of these.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"truncated or damaged ({error}); download it again") from error


def _array(cjdata: h5py.Group, key: str) -> h5py.Dataset:
    found = cjdata.get(key)
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"has no cjdata/{key}")
    if not found.size or found.attrs.get("MATLAB_empty"):
        raise DataError(f"cjdata/{key} is empty")
    # HDF5 stores no byte of what was never written, so a small file may hold any size.
    require_memory(found.size * np.dtype(np.float64).itemsize * 2)
    return found


def _label(stored: h5py.Dataset) -> int:
    values = np.ravel(stored[()])
    if len(values) != 1 or values.dtype.kind not in "iuf" or values[0] not in LABELS:
        shown = values[0] if len(values) == 1 else f"{len(values)} values"
        raise DataError(
            f"cjdata/label is {shown}, not 1 (meningioma), 2 (glioma) or 3 (pituitary tumour)"
        )
    return int(values[0])


def _patient(stored: h5py.Dataset) -> str:
    codes = stored[()]
    if codes.dtype.kind not in "iu" or max(codes.shape, default=1) != codes.size:
        raise DataError(f"cjdata/PID is {codes.dtype} {codes.shape}, not a string")
    patient = "".join(chr(code) for code in codes.ravel().tolist()).strip()
    if not patient or not patient.isprintable():
        raise DataError(f"cjdata/PID is {patient!r}, not a patient id")
    return patient
