"""Write maps as NIfTI files in the space of their samples."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mritk.data.join import distinct
from mritk.data.samples import Samples
from mritk.data.volume_space import Space
from mritk.files.atomic import write_whole

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def write_volumes(
    samples: Samples, ids: Sequence[str], maps: Sequence[np.ndarray], folder: Path
) -> None:
    """Write the map of each sample, (D, H, W), as ``.nii.gz``, named after it.

    They are oriented as the closest to right, front and top.

    Raises:
        StoreError: A file cannot be written.
    """
    files = distinct([file_name(name) for name in ids])
    for name, file, values in zip(ids, files, maps, strict=True):
        space = Space.of(samples, samples.row_of[name], values.shape)
        content = space.image(np.asarray(values, dtype=np.float32)).to_bytes()
        write_whole(folder / f"{file}.nii.gz", gzip.compress(content, compresslevel=6, mtime=0))


def file_name(sample: str) -> str:
    """Return the id of a sample, or of a frame, as a file name without the ending of a volume."""
    stem = re.sub(r"\.nii(\.gz)?(?=#\d+$|$)", "", sample)
    return UNSAFE.sub("_", stem).strip("._") or "sample"
