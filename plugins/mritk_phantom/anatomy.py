"""The MNI152 head that every synthetic patient is a deformation of.

The maps are the ICBM 152 non-linear symmetric 2009a average that nilearn ships (Fonov et al.,
NeuroImage 54, 2011). Coordinates are millimetres in MNI space: x to the right, y to the front,
z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np

from mritk import Unavailable

# Centre of the pituitary fossa: below the optic chiasm, between the cavernous sinuses.
SELLA = (0.0, 3.0, -27.0)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Maps of one head on one grid; all are float32 of shape (X, Y, Z) unless stated.

    Attributes:
        grey: Probability of grey matter, in [0, 1].
        white: Probability of white matter, in [0, 1].
        texture: What the T1 template shows beyond its mixture of tissues (deep nuclei, cerebellar
            folds), in units of the brightness of white matter.
        depth: Distance to the dura in mm, positive inside. The dura encloses the brain and the
            parasellar region, which a brain mask leaves out.
        brain: Boolean mask of the brain.
        origin: Position of voxel (0, 0, 0) in mm.
        resolution: Edge of a voxel in mm.
    """

    grey: np.ndarray
    white: np.ndarray
    texture: np.ndarray
    depth: np.ndarray
    brain: np.ndarray
    origin: np.ndarray
    resolution: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along x, y and z."""
        return self.grey.shape

    @property
    def affine(self) -> np.ndarray:
        """(4, 4) float64 matrix from voxel indices to mm."""
        affine = np.diag([self.resolution] * 3 + [1.0])
        affine[:3, 3] = self.origin
        return affine

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the mm coordinates of the voxels, ready to broadcast to (X, Y, Z)."""
        x, y, z = (
            (self.origin[d] + self.resolution * np.arange(self.shape[d])).astype(np.float32)
            for d in range(3)
        )
        return x[:, None, None], y[None, :, None], z[None, None, :]

    def voxel_at(self, point: np.ndarray) -> tuple[int, int, int] | None:
        """Return the voxel nearest to a point in mm, or None outside the grid."""
        i, j, k = np.rint((point - self.origin) / self.resolution).astype(int).tolist()
        inside = all(0 <= v < n for v, n in zip((i, j, k), self.shape, strict=True))
        return (i, j, k) if inside else None


def require_nilearn() -> None:
    """Look for nilearn, without the seconds that importing it takes.

    Raises:
        mritk.errors.Unavailable: It is not installed.
    """
    if find_spec("nilearn") is None:
        raise Unavailable(
            "the phantom needs the anatomy shipped with nilearn, which is not installed; run: "
            "python -m pip install 'mritk-bench[phantom]'"
        )


@cache
def load_anatomy(resolution: int) -> Anatomy:
    """Return the MNI152 head at a resolution in mm; loaded once per process.

    Raises:
        mritk.errors.Unavailable: nilearn is not installed.
    """
    require_nilearn()
    from nilearn import datasets

    t1 = datasets.load_mni152_template(resolution=resolution)
    brain = datasets.load_mni152_brain_mask(resolution=resolution).get_fdata() > 0
    brain = np.ascontiguousarray(brain)  # nibabel has x first in memory; points come with z first
    grey, white = (
        np.ascontiguousarray(image.get_fdata(dtype=np.float32)).clip(0, 1) * brain
        for image in (
            datasets.load_mni152_gm_template(resolution=resolution),
            datasets.load_mni152_wm_template(resolution=resolution),
        )
    )
    origin = t1.affine[:3, 3].astype(np.float64)
    return Anatomy(
        grey=grey,
        white=white,
        texture=_texture(t1.get_fdata(dtype=np.float32), grey, white, brain),
        depth=_depth(brain, origin, resolution),
        brain=brain,
        origin=origin,
        resolution=float(resolution),
    )


def _texture(t1: np.ndarray, grey: np.ndarray, white: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Return the T1 template minus the least-squares mixture of its tissues."""
    tissues = np.stack([grey[brain], white[brain], 1 - grey[brain] - white[brain]], axis=1)
    brightness, *_ = np.linalg.lstsq(tissues, t1[brain], rcond=None)
    texture = np.zeros(t1.shape, t1.dtype)
    texture[brain] = (t1[brain] - tissues @ brightness) / brightness[1]
    return texture.astype(np.float32)


def _depth(brain: np.ndarray, origin: np.ndarray, resolution: float) -> np.ndarray:
    """Return the signed distance to a dura around the brain and the parasellar region."""
    from scipy.ndimage import distance_transform_edt

    x, y, z = (origin[d] + resolution * np.arange(brain.shape[d]) for d in range(3))
    parasellar = (
        (x[:, None, None] / 24) ** 2
        + ((y[None, :, None] - SELLA[1]) / 17) ** 2
        + ((z[None, None, :] - SELLA[2] - 3) / 14) ** 2
    ) < 1
    inside = brain | parasellar
    distance = distance_transform_edt(inside) - distance_transform_edt(~inside)
    return (resolution * distance).astype(np.float32)
