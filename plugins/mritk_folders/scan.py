"""One scan in one file, be it an image or a volume."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path

import numpy as np

from mritk import DataError, is_image_name, read_image

VOLUME_SUFFIXES = (".nii", ".nii.gz")


class Kind(Enum):
    """What a file holds; the value is the number of spatial dimensions."""

    IMAGE = 2
    VOLUME = 3


def kind_of(name: str) -> Kind | None:
    """Return what a file of this name holds; None if it is neither image nor NIfTI."""
    if is_image_name(name):
        return Kind.IMAGE
    return Kind.VOLUME if name.lower().endswith(VOLUME_SUFFIXES) else None


def common_kind(names: Iterable[str], where: str) -> Kind:
    """Return the kind of all ``names``, which are those of images or volumes.

    Raises:
        DataError: There are both.
    """
    examples: dict[Kind | None, str] = {}
    for name in names:
        examples.setdefault(kind_of(name), name)
    if len(examples) > 1:
        raise DataError(
            f"{where} holds images ({examples[Kind.IMAGE]}) and volumes "
            f"({examples[Kind.VOLUME]}); one dataset is of one kind, so move the others elsewhere"
        )
    return Kind.VOLUME if Kind.VOLUME in examples else Kind.IMAGE


def read_scan(path: Path) -> np.ndarray:
    """Return the image, uint8 (H, W) or (H, W, 3), or the volume, uint8 (D, H, W), of a file.

    Raises:
        DataError: See :func:`mritk.read_image` and :func:`mritk_folders.nifti.read_volume`.
    """
    if kind_of(path.name) is Kind.VOLUME:
        from mritk_folders.nifti import read_volume

        return read_volume(path)
    return read_image(path)
