"""Whether label maps lie where their volumes lie, as the headers of both say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mritk import DataError
from mritk_folders.nifti import read_corners

NEAREST = 0.5  # mm; headers round


def refuse_masks_elsewhere(folder: Path, names: Sequence[str], masks: Sequence[str]) -> None:
    """Refuse label maps whose headers place them elsewhere than their volumes.

    Voxels are compared one by one, so a label map without the orientation of its volume would be
    flipped, and one of another space shifted. What cannot be read is reported when it is read.

    Args:
        folder: Where the files are.
        names: N paths of volumes, relative to ``folder``.
        masks: N paths of their label maps.

    Raises:
        DataError: Corners of a volume and its label map are more than 0.5 mm apart.
    """
    found = {}
    for name, mask in zip(names, masks, strict=True):
        try:
            apart = read_corners(folder / name) - read_corners(folder / mask)
        except DataError:
            continue
        distance = float(np.linalg.norm(apart, axis=1).max())
        if not distance <= NEAREST:
            found[mask] = distance
    if not found:
        return
    first = next(iter(found))
    raise DataError(
        f"{len(found)} of {len(masks)} label maps in {folder} lie elsewhere than their volumes by "
        f"their headers, such as {first}, by up to {found[first]:.1f} mm; resample them to their "
        "volumes, or, if the voxels do match, store them with the affine of their volumes"
    )
