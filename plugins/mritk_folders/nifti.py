"""Read one NIfTI file as a volume in the orientation that radiologists look at."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import OrientationError
from nibabel.spatialimages import HeaderDataError

from mritk import DataError

GZIP_MAGIC = b"\x1f\x8b"

# Percentiles of the non-zero voxels that become black and white.
BLACK, WHITE = 0.5, 99.5


def read_volume(path: Path) -> np.ndarray:
    """Return the volume of a NIfTI-1 or NIfTI-2 file, ``.nii`` or ``.nii.gz``, as uint8 (D, H, W).

    **Orientation.** The axes are permuted and flipped, never resampled, to those closest to the
    anatomical ones: D runs from inferior to superior, H from anterior to posterior, W from the
    patient's right to the left. So ``volume[k]`` is an axial slice in radiological convention:
    anterior is up, and the patient's left is on the right of the image. A file that states no
    orientation (sform and qform codes 0) is taken as nibabel takes it: its first axis runs to
    the left, its second to anterior, its third to superior.

    **Intensities.** After the file's own slope and intercept, values are scaled linearly so that
    the 0.5th percentile of the non-zero voxels becomes 0 and the 99.5th 255, and clipped: MRI
    intensities have no unit. The percentiles are those of the non-zero voxels, because the share
    of empty background depends on the field of view and on skull stripping and not on the brain;
    and they are percentiles, because single bright voxels (vessels, spikes) would press all tissue
    into a few grey levels. If they coincide, as in a mask, the minimum and maximum are taken.
    Voxels that are NaN or infinite count as 0, the usual mark of what lies outside a mask.

    Raises:
        DataError: The file is empty, truncated, corrupt, not NIfTI or not one volume of numbers,
            has no usable orientation, or all its voxels are equal or no numbers.
    """
    try:
        content = _content(path)
        image = _image(content)
        _check(image, len(content))
        canonical = nib.as_closest_canonical(image)
        values = canonical.get_fdata(dtype=np.float32, caching="unchanged")
    except (OrientationError, np.linalg.LinAlgError) as error:
        raise DataError("its affine gives the axes no usable orientation") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"truncated or corrupt gzip data ({error})") from error
    except (HeaderDataError, ImageFileError, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{error}") from error
    axial = values.reshape(values.shape[:3]).transpose(2, 1, 0)[:, ::-1, ::-1]
    return _scaled(axial)


def _content(path: Path) -> bytes:
    # Whole files, because only reading to the end compares the checksum of the compressed data.
    content = path.read_bytes()
    if not content:
        raise DataError("empty file")
    return gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content


def _image(content: bytes) -> Any:
    if content[344:348] == b"n+1\0":
        return nib.Nifti1Image.from_bytes(content)
    if content[4:8] == b"n+2\0":
        return nib.Nifti2Image.from_bytes(content)
    if content[344:348] == b"ni1\0":
        raise DataError("the header of a .hdr/.img pair; store header and data in one .nii file")
    raise DataError("not a NIfTI file")


def _check(image: Any, size: int) -> None:
    """Refuse what is not one volume of numbers, before any of it is allocated."""
    shape, kind = image.shape, image.get_data_dtype()
    if kind.kind not in "iuf":
        raise DataError(f"holds {kind}; only whole and real numbers can be shown as grey levels")
    if len(shape) < 3 or min(shape) < 1:
        raise DataError(f"has shape {shape}; a volume has three axes")
    if any(side > 1 for side in shape[3:]):
        raise DataError(
            f"has shape {shape}, which is a series of volumes; store one volume per file"
        )
    needed = image.dataobj.offset + kind.itemsize * int(np.prod(shape, dtype=object))
    if size < needed:
        raise DataError(f"truncated: its header promises {needed} bytes, there are {size}")


def _scaled(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    if not finite.any():
        raise DataError("holds NaN and infinite values only")
    values = np.where(finite, values, np.float32(0))
    filled = values[values != 0]
    low, high = np.percentile(filled, (BLACK, WHITE)) if filled.size else (0.0, 0.0)
    if low == high:
        low, high = values.min(), values.max()
    if low == high:
        raise DataError(f"every voxel is {low:g}")
    # In double precision, because two large floats may differ by more than the largest float32.
    shares = (np.clip(values, low, high).astype(np.float64) - low) / (float(high) - float(low))
    return np.rint(shares * 255).astype(np.uint8)
