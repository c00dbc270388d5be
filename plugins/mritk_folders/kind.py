"""What a file holds, by its name: an image or a volume."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from mritk import DataError, is_image_name

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
            f"{where} contains images ({examples[Kind.IMAGE]}) and volumes "
            f"({examples[Kind.VOLUME]}); a dataset must be one kind, so move the others elsewhere"
        )
    return Kind.VOLUME if Kind.VOLUME in examples else Kind.IMAGE
