"""Samples and label maps as files that other programs read, and label maps read back.

Volumes are NIfTI (``.nii.gz``), one file per channel, where the sample lies in mm, with axes to the
right, the front and up; other images are PNG where they are uint8; all else is ``.npy``.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mritk.data.rank import has_grid, is_volume
from mritk.data.volume_space import Space, around_middle
from mritk.errors import DataError, one_line
from mritk.reading.image_file import refuse_truncated

NIFTI, PNG, NPY = ".nii.gz", ".png", ".npy"
WHOLE = "image"


def write_sample(
    array: np.ndarray,
    folder: Path,
    name: str,
    channels: Sequence[str] = (),
    spatial_dims: int | None = None,
    space: Space | None = None,
) -> dict[str, Path]:
    """Write a sample, as ``Samples.read`` returns it, one file per channel.

    Args:
        array: The sample.
        folder: Where the files go.
        name: Their names begin with it.
        channels: Names of its channels; without, it is one file.
        spatial_dims: As of the samples.
        space: Where the voxels of a volume lie; None: unknown, written as voxels of 1 mm.

    Returns:
        The files by the name of their channel, ``image`` without channels. Beside that name of a
        channel, a file's name ends in the channel's number in four digits.
    """
    found = {}
    parts = dict(zip(channels, array, strict=True)) if channels else {WHOLE: array}
    for number, (channel, values) in enumerate(parts.items()):
        stem = folder / f"{name}_{number:04d}"
        found[channel] = _written(np.asarray(values), stem, spatial_dims, space)
    return found


def write_label_map(
    labels: np.ndarray, folder: Path, name: str, space: Space | None = None
) -> Path:
    """Write a label map, uint8 of the spatial shape of a sample; return its file."""
    return _written(np.asarray(labels), folder / name, labels.ndim, space)


def label_map_file(folder: Path, name: str, spatial_dims: int | None) -> Path:
    """Return the file in which a label map of this name is expected."""
    return folder / f"{name}{NIFTI if is_volume(spatial_dims) else PNG}"


def read_label_map(path: Path, space: Space | None = None) -> np.ndarray:
    """Return a label map as whole numbers, uint8 or wider.

    Args:
        path: The file.
        space: Where the sample lies, on whose axes it is returned; None: as it is stored.

    Raises:
        DataError: The file is missing, is no image, lies on another grid than ``space``, or has
            values that are no whole numbers.
    """
    if not path.is_file():
        raise DataError(f"there is no label map {path.name}")
    try:
        values = _read(path, space)
    except DataError as error:
        raise DataError(f"{path.name} {error}") from error
    except Exception as error:  # of any library that reads it
        raise DataError(f"{path.name} is no label map: {one_line(error)}") from error
    if values.dtype.kind not in "iufb" or not np.isfinite(values).all():
        raise DataError(f"{path.name} has values that are no whole numbers")
    whole = np.rint(values)
    if values.dtype.kind == "f" and not np.array_equal(values, whole):
        raise DataError(f"{path.name} has values that are no whole numbers")
    whole = whole.astype(np.int64)
    return whole.astype(np.uint8) if whole.size and 0 <= whole.min() <= whole.max() < 256 else whole


def _read(path: Path, space: Space | None) -> np.ndarray:
    if path.name.endswith((NIFTI, ".nii")):
        import nibabel

        image = nibabel.load(path)
        return np.asarray(image.dataobj) if space is None else space.values_of(image)
    refuse_truncated()
    with Image.open(path) as image:
        return np.asarray(image)


def _written(values: np.ndarray, stem: Path, spatial_dims: int | None, space: Space | None) -> Path:
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if is_volume(spatial_dims):
        import nibabel

        path = stem.with_name(stem.name + NIFTI)
        space = space or Space(values.shape, around_middle(values.shape, (1, 1, 1)))
        nibabel.save(space.image(values), path)
        return path
    if has_grid(spatial_dims) and values.dtype == np.uint8:
        path = stem.with_name(stem.name + PNG)
        Image.fromarray(values).save(path)
        return path
    path = stem.with_name(stem.name + NPY)
    np.save(path, values)
    return path


def file_name(number: int, sample_id: str) -> str:
    """Return a name for the files of a sample that says nothing of it and is safe on any disk."""
    return f"case{number:05d}_{zlib.crc32(sample_id.encode()):08x}"
