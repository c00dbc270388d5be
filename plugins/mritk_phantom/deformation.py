"""Individual anatomy: a smooth random map from a patient's head to the MNI152 head.

All maps are backward: they tell for each voxel of the patient which point of the template it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from mritk_phantom.anatomy import SELLA, Anatomy
from mritk_phantom.lookup import Map, Places

# Root mean square of a cubic B-spline's weights along one axis, averaged over positions:
# the integral of B3 squared is 151/315 (Unser, IEEE Signal Processing Magazine 16, 1999).
BSPLINE_POWER = 151 / 315

# Distances to the dura are known so far outside of it, in mm; beyond, FAR is told.
KNOWN, FAR = 12.0, -100.0


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], resolution: float, scale: float
) -> np.ndarray:
    """Return smooth Gaussian noise of zero mean and about unit variance, float32 of ``shape``.

    White noise on control points ``scale`` mm apart is interpolated with cubic B-splines.
    """
    matrices = [_spline_matrix(rng.uniform(), n, resolution / scale) for n in shape]
    field = rng.standard_normal([m.shape[1] for m in matrices], dtype=np.float32)
    for matrix in matrices:
        field = np.tensordot(field, matrix, axes=(0, 1))
    return np.ascontiguousarray(field / np.float32(BSPLINE_POWER**1.5))


def _spline_matrix(phase: float, n: int, step: float) -> np.ndarray:
    """Return (n, control points) float32 weights of a uniform cubic B-spline."""
    position = phase + step * np.arange(n)
    first = np.floor(position).astype(int)
    t = position - first
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    matrix = np.zeros((n, first[-1] + 4), dtype=np.float32)
    for k, weight in enumerate(weights):
        matrix[np.arange(n), first + k] = weight
    return matrix


@dataclass(frozen=True, eq=False)
class Head:
    """A patient's head before any lesion.

    Attributes:
        anatomy: The template.
        points: (3, X, Y, Z) float32, the template point in mm that each voxel shows.
        linear: (3, 3) float64, the linear part of that map.
    """

    anatomy: Anatomy
    points: np.ndarray
    linear: np.ndarray

    @cached_property
    def places(self) -> Places:
        """Where in the maps of the template its voxels are."""
        return Places(self.points, self.anatomy)

    @cached_property
    def depth(self) -> np.ndarray:
        """Distance to the dura in mm, positive inside, FAR well outside; float32 (X, Y, Z)."""
        return self.places.look_up(_depth(self.anatomy))

    @cached_property
    def sella(self) -> np.ndarray:
        """Where this patient's pituitary fossa is, (3,) float64 in mm."""
        miss = sum((self.points[d] - SELLA[d]) ** 2 for d in range(3))
        index = np.unravel_index(np.argmin(miss), self.anatomy.shape)
        return self.anatomy.origin + self.anatomy.resolution * np.array(index)


@cache
def _depth(anatomy: Anatomy) -> Map:
    return Map(anatomy.depth, anatomy.depth > -KNOWN, outside=FAR)


def deform(
    rng: np.random.Generator, anatomy: Anatomy, *, scale: float = 1.0, bent: float = 1.0
) -> Head:
    """Return a new head: other size, proportions and pose, other course of every fold.

    Heads are ``scale`` times as wide, long and high on average; their surface and folds are bent
    ``bent`` times as far.
    """
    angles = np.deg2rad(rng.normal(0, 2.5, 3).clip(-6, 6))
    turned = Rotation.from_euler("xyz", angles).as_matrix()  # about x, then y, then z
    linear = turned @ np.diag(1 / (scale * rng.normal(1, 0.045, 3).clip(0.9, 1.1)))
    shift = rng.normal(0, 2.0, 3).clip(-4, 4)
    axes = anatomy.axes()
    points = np.empty((3, *anatomy.shape), dtype=np.float32)
    for d in range(3):
        large = smooth_noise(rng, anatomy.shape, anatomy.resolution, 35.0)
        small = smooth_noise(rng, anatomy.shape, anatomy.resolution, 14.0)
        course = rng.uniform(1.5, 3.5) * large + rng.uniform(0.6, 1.3) * small
        points[d] = bent * course + shift[d]
        for e in range(3):
            points[d] += np.float32(linear[d, e]) * axes[e]
    return Head(anatomy, points, linear)


def push_aside(
    head: Head,
    centre: np.ndarray,
    radii: np.ndarray,
    strength: float,
    *,
    where: np.ndarray | None = None,
) -> np.ndarray:
    """Return the head's points after a mass has grown from ``centre``, float32 (3, X, Y, Z).

    With a boolean volume ``where`` only those of its N voxels, (3, N).

    The mass is an ellipsoid of ``radii`` in mm. Tissue keeps its volume: what was at a relative
    radius ``a`` is now at ``(a**3 + strength)**(1/3)``, with ``strength`` in [0, 1); 0 replaces
    tissue and moves none. The shift fades at a distance because the skull does not yield.
    """
    offset = [
        (axis - np.float32(centre[d])) / np.float32(radii[d])
        for d, axis in enumerate(head.anatomy.axes())
    ]
    if where is not None:
        offset = [np.broadcast_to(part, head.anatomy.shape)[where] for part in offset]
    radius2 = offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2 + np.float32(1e-6)
    was = np.cbrt(np.maximum(1 - np.float32(strength) * radius2**-1.5, 0))
    inward = (was - 1) * np.exp(-radius2 / 9)
    points = head.points.copy() if where is None else head.points[:, where]
    for e in range(3):
        shift = inward * (offset[e] * np.float32(radii[e]))
        for d in range(3):
            points[d] += np.float32(head.linear[d, e]) * shift
    return points
