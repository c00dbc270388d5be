"""Read one NIfTI file as a volume in the orientation that radiologists look at."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import OrientationError
from nibabel.spatialimages import HeaderDataError

from mritk import DataError, grey_levels, open_regular_file, require_memory

GZIP_MAGIC = b"\x1f\x8b"

# The longer of the two headers, that of NIfTI-2; that of NIfTI-1 has 348 bytes.
HEADER = 540

# Bytes before and after the data, at most: a few megabytes of DICOM header are usual. A gzip file
# of a megabyte may hold a gigabyte of zeros, and they need not be looked at.
BESIDE = 64 << 20

CHUNK = 1 << 20

# Metres and microns in mm, by their code in a header; what states neither is in mm.
MILLIMETRES = {1: 1000.0, 3: 0.001}
OF_LENGTH = 0b111  # the bits of that code, beside those of the unit of time

# How far a label may be from a whole number where a file has it scaled, as programs store what they
# hold as real numbers.
SCALED = 1e-3

Stream = BufferedReader | gzip.GzipFile


def read_volume(path: Path) -> np.ndarray:
    """Return the volume of a NIfTI-1 or NIfTI-2 file, ``.nii`` or ``.nii.gz``, as uint8 (D, H, W).

    **Orientation.** The axes are permuted and flipped, never resampled, to those closest to the
    anatomical ones: D runs from inferior to superior, H from anterior to posterior, W from the
    patient's right to the left. So ``volume[k]`` is an axial slice in radiological convention:
    anterior is up, and the patient's left is on the right of the image. A file that states no
    orientation (sform and qform codes 0) is taken as nibabel takes it: its first axis runs to
    the left, its second to anterior, its third to superior.

    **Intensities.** After the file's own slope and intercept, intensities become grey levels, see
    :func:`mritk.grey_levels`. Voxels that are NaN or infinite, the usual mark of what lies outside
    a mask, become 0; :func:`read_with_holes` tells how many.

    The header is read first, and the data only if memory can hold them; they are unpacked piece by
    piece, so that reading takes about twice the memory of the volume as it is stored.

    Raises:
        DataError: The file is empty, truncated, corrupt, not NIfTI, no regular file or not one
            volume of numbers, is too large for this machine, has no usable orientation, or all
            its voxels are equal or no numbers.
    """
    return read_with_holes(path)[0]


def read_with_holes(path: Path) -> tuple[np.ndarray, float]:
    """Return the volume of :func:`read_volume`, and the share of it that is NaN or infinite.

    Raises:
        DataError: As there.
    """
    with _opened(path) as (stream, header):
        _refuse_series(header)
        return _volume(next(_stored(stream, header, [0])), header)


def read_frames(path: Path, rows: Sequence[int]) -> list[tuple[np.ndarray, float] | DataError]:
    """Return frames of a series, each as :func:`read_with_holes` returns a file of it alone.

    In place of a frame whose voxels are all equal or no numbers stands the error that tells so.

    The file is read once, from its beginning to its end if it is compressed; memory holds one frame
    as it is stored, and the grey levels of those that are asked for.

    Args:
        path: A NIfTI file whose fourth axis is the number of the frame.
        rows: Numbers of frames, ascending.

    Raises:
        DataError: As there, for what concerns the whole file.
    """
    found: list[tuple[np.ndarray, float] | DataError] = []
    with _opened(path) as (stream, header):
        for row, stored in zip(rows, _stored(stream, header, rows), strict=True):
            try:
                found.append(_volume(stored, header, row))
            except DataError as error:
                found.append(error.with_traceback(None))  # which holds the voxels
            del stored  # before the next ones are read
    return found


def read_length(path: Path) -> int:
    """Return how many volumes a file holds: the length of its fourth axis, 1 if it has three.

    Raises:
        DataError: The header cannot be read, or has a further axis.
    """
    with _opened(path) as (_, header):
        return _length(header)


def read_label_map(path: Path) -> np.ndarray:
    """Return the label map of a NIfTI file as uint8 (D, H, W), oriented as :func:`read_volume` is.

    Raises:
        DataError: As there; or a value, after the file's own slope and intercept and the rounding
            of these, is no whole number from 0 to 255.
    """
    with _opened(path) as (stream, header):
        _refuse_series(header)
        labels = next(_stored(stream, header, [0]))
        slope, intercept = _scale(header)
        if (slope, intercept) != (1.0, 0.0):
            labels = labels * slope + intercept
            nearest = np.rint(labels)
            if np.allclose(labels, nearest, rtol=0, atol=SCALED):
                labels = nearest
        with np.errstate(invalid="ignore"):
            whole = labels.astype(np.uint8)
        if not np.array_equal(whole, labels):
            raise DataError("holds values that are no labels; expected whole numbers from 0 to 255")
        return _turned(whole, header)


def spacing_of_all(paths: Sequence[Path]) -> np.ndarray:
    """Return the spacing of volumes, (N, 3) mm.

    It is 1 mm where a header gives none: neither can the volume be read, which will be reported.
    """
    found = np.ones((len(paths), 3))
    for row, path in enumerate(paths):
        with suppress(DataError):
            found[row] = read_spacing(path)
    return found


def read_spacing(path: Path) -> tuple[float, ...]:
    """Return the distance of voxels in mm along the axes of :func:`read_volume`, (D, H, W).

    Raises:
        DataError: The header cannot be read, or defines no orientation, or no distances above 0.
    """
    with _opened(path) as (_, header):
        _sides(header)
        affine = header.get_best_affine()
        sizes = voxel_sizes(affine) * _to_mm(header)
        if not (np.isfinite(sizes).all() and (sizes > 0).all()):
            raise OrientationError
        axes = nib.io_orientation(affine)[:, 0]
        if np.isnan(axes).any():
            raise OrientationError
        x, y, z = sizes[np.argsort(axes)].tolist()
        return z, y, x


def read_affine(path: Path) -> np.ndarray:
    """Return the matrix from indices (d, h, w) of :func:`read_volume` to mm, (4, 4) float64.

    Millimetres run to the right, to the front and up.

    Raises:
        DataError: The header cannot be read, or defines no orientation.
    """
    return read_place(path)[0]


def read_place(path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the matrix of :func:`read_affine`, and the shape of the volume, (D, H, W).

    Raises:
        DataError: As there.
    """
    with _opened(path) as (_, header):
        shape, stored, to_mm = _sides(header), header.get_best_affine(), _to_mm(header)
        orientation = nib.io_orientation(stored)
        canonical = stored @ nib.orientations.inv_ornt_aff(orientation, shape)
    x, y, z = np.asarray(shape)[np.argsort(orientation[:, 0])].tolist()
    # See _turned: H and W run against the axes to the front and to the right.
    turned = np.array([[0, 0, -1, x - 1], [0, -1, 0, y - 1], [1, 0, 0, 0], [0, 0, 0, 1]])
    return np.diag([to_mm, to_mm, to_mm, 1.0]) @ canonical @ turned, (z, y, x)


def _to_mm(header: Any) -> float:
    """Return the length of a header's unit in mm; writers also state units that do not exist."""
    return MILLIMETRES.get(int(header["xyzt_units"]) & OF_LENGTH, 1.0)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Stream, Any]]:
    """Open a file, unpacked if it is compressed, and read its header.

    Errors become one line for a person, also those of what is done with the file.
    """
    try:
        with open_regular_file(path) as file:
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if packed else file
            yield stream, _header(stream)
    except (OrientationError, np.linalg.LinAlgError) as error:
        raise DataError("its affine defines no valid orientation") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"truncated or corrupt gzip data ({error})") from error
    except (HeaderDataError, ImageFileError, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{error}") from error


def _volume(stored: np.ndarray, header: Any, row: int = 0) -> tuple[np.ndarray, float]:
    """Return the grey levels of a frame, uint8 (D, H, W), and the share of it that is no number."""
    slope, intercept = _scale(header)
    grey = grey_levels(stored, slope=slope, intercept=intercept)
    if not grey.any():
        _refuse_constant(stored, f"frame {row}: " if _length(header) > 1 else "")
    holes = 0.0 if stored.dtype.kind in "iu" else 1 - np.isfinite(stored).mean()
    return _turned(grey, header), float(holes)


def _scale(header: Any) -> tuple[float, float]:
    """Return slope and intercept."""
    slope, intercept = header.get_slope_inter()
    return 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)


def _turned(stored: np.ndarray, header: Any) -> np.ndarray:
    """Return voxels (Z, Y, X) as stored, turned to (D, H, W)."""
    canonical = nib.apply_orientation(stored.T, nib.io_orientation(header.get_best_affine()))
    return np.ascontiguousarray(canonical.transpose(2, 1, 0)[:, ::-1, ::-1])


def _header(stream: Stream) -> Any:
    content = stream.read(HEADER)
    if not content:
        raise DataError("empty file")
    if content[344:348] == b"n+1\0":
        return nib.Nifti1Header(content[:348])
    if content[4:8] == b"n+2\0":
        if len(content) < HEADER:
            raise DataError("truncated within its header")
        return nib.Nifti2Header(content)
    if content[344:348] == b"ni1\0":
        raise DataError("the header of a .hdr/.img pair; store header and data in one .nii file")
    raise DataError("not a NIfTI file")


def _sides(header: Any) -> tuple[int, int, int]:
    """Return the shape of a volume; refuse what is none of numbers, before any of it is read."""
    shape, kind = header.get_data_shape(), header.get_data_dtype()
    if kind.kind not in "iuf":
        raise DataError(f"contains {kind}; only integer and real values are supported")
    if len(shape) < 3 or min(shape) < 1:
        raise DataError(f"has shape {shape}; expected three axes")
    return shape[:3]


def _length(header: Any) -> int:
    """Return the number of volumes; refuse what has more axes than these."""
    _sides(header)
    shape = header.get_data_shape()
    if any(side > 1 for side in shape[4:]):
        raise DataError(f"has shape {shape}; expected three axes, or a fourth of frames")
    return int(shape[3]) if len(shape) > 3 else 1


def _refuse_series(header: Any) -> None:
    if _length(header) > 1:
        raise DataError(
            f"has shape {header.get_data_shape()}, a series of volumes; add ,frames=K to the "
            "dataset's name (folder:, manifest:, bids:) for K of them, or store one volume per file"
        )


def _stored(stream: Stream, header: Any, rows: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield frames as stored, (Z, Y, X): NIfTI counts its first axis fastest, its fourth last."""
    shape, count = _sides(header), _length(header)
    kind, offset = header.get_data_dtype(), header.get_data_offset()
    voxels = shape[0] * shape[1] * shape[2]
    size = voxels * kind.itemsize
    end = offset + count * size
    if not header.sizeof_hdr <= offset <= BESIDE:
        raise DataError(f"its data offset ({offset} bytes) is inconsistent with the header")
    if not isinstance(stream, gzip.GzipFile):
        _require_bytes(end, os.fstat(stream.fileno()).st_size)
    # As grey_levels says, and the grey levels once more, turned; of each frame.
    require_memory(2 * size + (1 + len(rows)) * voxels)
    for row in rows:
        stored = np.empty(voxels, dtype=kind)
        stream.seek(offset + row * size)
        if _fill(stored.view(np.uint8).data, stream) < size:
            _require_bytes(end, stream.tell())
        if row == rows[-1] and isinstance(stream, gzip.GzipFile):
            _read_to_end(stream, end)
        if not kind.isnative:
            stored = stored.byteswap(inplace=True).view(kind.newbyteorder("="))
        yield stored.reshape(shape[::-1])


def _require_bytes(promised: int, found: int) -> None:
    if found < promised:
        raise DataError(f"truncated: {found} bytes of {promised} stated in the header")


def _fill(buffer: memoryview, stream: Stream) -> int:
    """Return how many bytes there were to fill ``buffer`` with."""
    found = 0
    while found < len(buffer):
        count = stream.readinto(buffer[found : found + CHUNK])
        if not count:
            break
        found += count
    return found


def _read_to_end(stream: gzip.GzipFile, end: int) -> None:
    """Only reading to the end compares the checksum of the compressed data."""
    while stream.read(CHUNK):
        if stream.tell() > end + BESIDE:
            raise DataError("contains far more data than stated in its header")
    _require_bytes(end, stream.tell())


def _refuse_constant(stored: np.ndarray, frame: str) -> None:
    finite = stored[np.isfinite(stored)]
    if not finite.size:
        raise DataError(f"{frame}contains only NaN and infinite values")
    raise DataError(f"{frame}every voxel is {finite[0]:g}, before slope and intercept")
