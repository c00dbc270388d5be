"""Whether files lie where those lie to which they belong, as the headers of both say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from mritk import DataError
from mritk_folders.nifti import read_place

NEAREST = 0.5  # mm; headers round

Place = tuple[np.ndarray, tuple[int, ...]]


def refuse_elsewhere(
    folder: Path,
    pairs: Sequence[tuple[str, str]],
    noun: str = "label maps",
    belong: str = "their volumes",
) -> None:
    """Refuse files whose headers place their voxels elsewhere than those of others.

    Voxels are compared one by one, so a label map without the orientation of its volume would be
    flipped, and one of another space shifted; likewise sequences that are channels of one sample.
    What cannot be read is reported when it is read.

    Args:
        folder: Where the files are.
        pairs: Paths of a volume and of what belongs to it, relative to ``folder``.
        noun: What the second ones are.
        belong: What the first ones are to them.

    Raises:
        DataError: A file and its volume differ in shape, or corners of both are more than 0.5 mm
            apart.
    """
    place = cache(lambda name: read_place(folder / name))
    found = {}
    for name, other in pairs:
        try:
            apart = _apart(place(other), place(name))
        except DataError:
            continue
        if apart:
            found[other] = apart
    if not found:
        return
    first = next(iter(found))
    raise DataError(
        f"{len(found)} of {len(pairs)} {noun} in {folder} lie elsewhere than {belong} by their "
        f"headers, such as {first}, {found[first]}; resample them to {belong}, or, if the voxels "
        f"do match, store them with the affine of {belong}"
    )


def _apart(one: Place, other: Place) -> str:
    """Return how a volume lies elsewhere than another one; nothing if it does not."""
    if one[1] != other[1]:
        return f"of {_shown(one[1])} voxels, not {_shown(other[1])}"
    distance = float(np.linalg.norm(_corners(*one) - _corners(*other), axis=1).max())
    return "" if distance <= NEAREST else f"by up to {distance:.1f} mm"


def _corners(affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return where the corner voxels lie in mm, (8, 3) float64."""
    sides = np.meshgrid(*[(0, side - 1) for side in shape])
    return apply_affine(affine, np.stack(sides, -1).reshape(-1, 3))


def _shown(shape: Sequence[int]) -> str:
    """Return the shape of a volume (D, H, W) in the order of files, x, y, z."""
    return " × ".join(str(side) for side in reversed(shape))
