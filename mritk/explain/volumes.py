"""Write maps as NIfTI files in the space of their samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

from mritk.data.join import distinct
from mritk.data.samples import Samples
from mritk.files.atomic import write_whole

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def write_volumes(
    samples: Samples, ids: Sequence[str], maps: Sequence[np.ndarray], folder: Path
) -> None:
    """Write one ``.nii.gz`` per map, (D, H, W), oriented as the closest to right, front and top.

    Args:
        samples: Has the samples of the maps.
        ids: Ids of the samples.
        maps: Their maps.
        folder: Where the files go, named after the samples.

    Raises:
        StoreError: A file cannot be written.
    """
    rows = {name: row for row, name in enumerate(samples.ids)}
    files = distinct([file_name(name) for name in ids])
    for name, file, values in zip(ids, files, maps, strict=True):
        affine = affine_of(samples, rows[name], values.shape)
        image = nibabel.Nifti1Image(np.asarray(values, dtype=np.float32), affine)
        image.header.set_xyzt_units("mm")
        content = nibabel.as_closest_canonical(image).to_bytes()
        write_whole(folder / f"{file}.nii.gz", _packed(content))


def file_name(sample: str) -> str:
    """Return the id of a sample, or of a frame, as a file name without the ending of a volume."""
    stem = re.sub(r"\.nii(\.gz)?(?=#\d+$|$)", "", sample)
    return UNSAFE.sub("_", stem).strip("._") or "sample"


def affine_of(samples: Samples, row: int, shape: Sequence[int]) -> np.ndarray:
    """Return the affine of a sample, (4, 4); without one, of its spacing around its middle.

    Axes then run up, from front to back and from right to left, as volumes are read.
    """
    if samples.affine is not None:
        return np.asarray(samples.affine(row), dtype=np.float64)
    spacing = np.ones(3) if samples.spacing is None else samples.spacing[row]
    affine = np.zeros((4, 4))
    for axis, (world, way) in enumerate(((2, 1), (1, -1), (0, -1))):
        affine[world, axis] = way * spacing[axis]
        affine[world, 3] = -way * spacing[axis] * (shape[axis] - 1) / 2
    affine[3, 3] = 1
    return affine


def _packed(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content, compresslevel=6, mtime=0)
