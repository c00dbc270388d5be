"""Where the voxels of a volume lie in mm, and images of other programs that lie there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError

if TYPE_CHECKING:
    import nibabel

# Axes of a volume as it is read, (D, H, W): the axis of millimetres, and which way along it.
READ_AXES = ((2, 1), (1, -1), (0, -1))
ALIGNED = 2  # NIfTI's code of a form in mm
# Share of a voxel by which headers may differ: they hold single precision.
NEAREST = 0.1


@dataclass(frozen=True, eq=False)
class Space:
    """Where the voxels of an array lie.

    Attributes:
        shape: (D, H, W) of the array.
        affine: (4, 4) float64, from indices of the array to mm to the right, the front and up.
    """

    shape: tuple[int, ...]
    affine: np.ndarray

    @classmethod
    def of(cls, samples: Samples, row: int, shape: Sequence[int]) -> Space:
        """Return the space of a volume of this shape; see :func:`affine_of`.

        Raises:
            DataError: Its affine gives voxels no place.
        """
        affine = affine_of(samples, row, shape)
        if affine.shape != (4, 4) or not _invertible(affine):
            raise DataError(f"the affine of {samples.ids[row]} gives its voxels no place in mm")
        return cls(tuple(shape), affine)

    def image(self, values: np.ndarray) -> nibabel.Nifti1Image:
        """Return an array of this shape as NIfTI: axes run to the right, the front and up.

        Axes are exchanged and reversed to be the closest to these, as in
        ``nibabel.as_closest_canonical``; voxels are not resampled.
        """
        import nibabel

        image = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, self.affine))
        affine = image.affine.copy()
        image.set_sform(affine, ALIGNED)
        image.set_qform(affine, ALIGNED)  # without shears, which this form cannot hold
        image.header.set_xyzt_units("mm")
        return image

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of :meth:`image`."""
        return tuple(self.shape[axis] for axis in self._order)

    @property
    def image_spacing(self) -> tuple[float, ...]:
        """The distance of voxels in mm along the axes of :meth:`image`."""
        return tuple(_sizes(self.affine)[self._order].tolist())

    @property
    def _order(self) -> list[int]:
        import nibabel

        return np.argsort(nibabel.io_orientation(self.affine)[:, 0]).tolist()

    def values_of(self, image: nibabel.Nifti1Image) -> np.ndarray:
        """Return the voxels of an image, whatever the order of its axes, as an array of this shape.

        Raises:
            DataError: The image lies on another grid.
        """
        import nibabel

        shape, affine = tuple(image.shape), image.affine
        where = (
            f"lies on another grid than its image; write it with the affine of the image: "
            f"its shape is {shape}, that of the image {self.image_shape}"
        )
        if len(shape) != len(self.shape) or not _invertible(affine):
            raise DataError(where)
        turn = nibabel.io_orientation(np.linalg.inv(self.affine) @ affine)
        turned = tuple(shape[axis] for axis in np.argsort(turn[:, 0]))
        if np.isnan(turn).any() or turned != self.shape:
            raise DataError(where)
        found = affine @ nibabel.orientations.inv_ornt_aff(turn, shape)
        apart = min(self._apart(found, own) for own in (self.affine, self._without_shears))
        if apart > NEAREST * _sizes(self.affine).min():
            raise DataError(f"{where}, and voxels are up to {apart:.3g} mm apart")
        voxels: np.ndarray = nibabel.apply_orientation(np.asarray(image.dataobj), turn)
        return voxels

    @property
    def _without_shears(self) -> np.ndarray:
        """The affine for readers that take of :meth:`image` its rotation and voxel sizes alone."""
        import nibabel

        turn = nibabel.io_orientation(self.affine)
        to_array = nibabel.orientations.inv_ornt_aff(turn, self.shape)
        header = nibabel.Nifti1Header()
        header.set_qform(self.affine @ to_array, ALIGNED)
        return np.asarray(header.get_qform() @ np.linalg.inv(to_array))

    def _apart(self, one: np.ndarray, other: np.ndarray) -> float:
        """Return the largest distance in mm of a corner voxel in two spaces of this shape."""
        sides = [(0, side - 1) for side in self.shape]
        corners = np.stack(np.meshgrid(*sides), -1).reshape(-1, 3)
        return float(np.linalg.norm(_at(one, corners) - _at(other, corners), axis=1).max())


def affine_of(samples: Samples, row: int, shape: Sequence[int]) -> np.ndarray:
    """Return the affine of a sample, (4, 4); without one, of its spacing around its middle.

    Axes then run up, from front to back and from right to left, as volumes are read.
    """
    if samples.affine is not None:
        return np.asarray(samples.affine(row), dtype=np.float64)
    spacing = np.ones(3) if samples.spacing is None else samples.spacing[row]
    return around_middle(shape, spacing)


def around_middle(shape: Sequence[int], spacing: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the affine, (4, 4), of a volume as it is read, (D, H, W), whose middle is at 0 mm."""
    affine = np.zeros((4, 4))
    for axis, (world, way) in enumerate(READ_AXES):
        affine[world, axis] = way * spacing[axis]
        affine[world, 3] = -way * spacing[axis] * (shape[axis] - 1) / 2
    affine[3, 3] = 1
    return affine


def _sizes(affine: np.ndarray) -> np.ndarray:
    sizes: np.ndarray = np.linalg.norm(affine[:3, :3], axis=0)
    return sizes


def _invertible(affine: np.ndarray) -> bool:
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine)) > 0)


def _at(affine: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    placed: np.ndarray = voxels @ affine[:3, :3].T + affine[:3, 3]
    return placed
