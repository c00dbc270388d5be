"""The MNI152 head on the grid of a volume, with what surrounds the brain.

The templates of nilearn end at the brain. Skull, scalp, face, eyes, sinuses and neck are simple
bodies in MNI mm around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from mritk_phantom.anatomy import Anatomy, load_anatomy
from mritk_phantom.heads.recipe import FIELD_OF_VIEW
from mritk_phantom.lookup import Map, in_voxels, interpolate

# Resolution in mm at which the templates are loaded.
SOURCE = 2
# The middle of the cube that a volume shows, in MNI mm.
MIDDLE = (0.0, -17.0, -4.0)
# Thickness in mm of the fluid around the brain, of the skull and of the scalp over it.
FLUID, BONE, SCALP = 2.0, 7.0, 6.0


@dataclass(frozen=True, eq=False)
class Template:
    """Maps of one head on the grid of a volume.

    Attributes:
        anatomy: The brain.
        grey: Probability of grey matter.
        white: Probability of white matter.
        texture: See :class:`mritk_phantom.anatomy.Anatomy`.
        hull: Distance in mm to a smooth surface around the brain, positive inside.
        around: Shares of fluid, muscle, fat and marrow outside the brain; of the fluid, also where
            the brain is. What is missing to 1 is bone or air.
        to_ventricle: float32 (3, X, Y, Z), the direction to the nearest ventricle, of length 1
            beside it and shorter with the distance; 0 inside.
        deep: Share of white matter that lies around the ventricles, where there is white matter.
    """

    anatomy: Anatomy
    grey: Map
    white: Map
    texture: Map
    hull: Map
    around: tuple[Map, ...]
    to_ventricle: np.ndarray
    deep: Map


@cache
def load_template(size: int) -> Template:
    """Return the head on a grid of ``size`` voxels per side; made once per process.

    Raises:
        mritk.errors.Unavailable: nilearn is not installed.
    """
    anatomy = _on_grid(load_anatomy(SOURCE), size)
    hull = _hull(anatomy)
    to_ventricle, distance = _ventricles(anatomy)
    deep = np.exp(-np.maximum(distance, 0) / 8).astype(np.float32) * (distance > 0)
    grey, white, texture = (
        Map(part, part != 0) for part in (anatomy.grey, anatomy.white, anatomy.texture)
    )
    around = tuple(Map(part, part != 0) for part in _around(anatomy, hull))
    # A voxel further out is none within the skull.
    near = hull > -(FLUID + anatomy.resolution)
    return Template(
        anatomy,
        grey,
        white,
        texture,
        Map(hull, near, outside=-100.0),
        around,
        to_ventricle,
        Map(deep, anatomy.white != 0),
    )


def _on_grid(source: Anatomy, size: int) -> Anatomy:
    """Return the anatomy on a cube of ``size`` voxels per side, smoothed to their width."""
    from scipy.ndimage import gaussian_filter

    resolution = FIELD_OF_VIEW / size
    origin = np.array(MIDDLE) - FIELD_OF_VIEW / 2 + resolution / 2
    axes = [origin[d] + resolution * np.arange(size) for d in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    voxels = in_voxels(points, source)
    sigma = 0.3 * resolution / source.resolution

    def regridded(values: np.ndarray, outside: float = 0.0) -> np.ndarray:
        return interpolate(gaussian_filter(values, sigma), voxels, outside=outside)

    return Anatomy(
        grey=regridded(source.grey),
        white=regridded(source.white),
        texture=regridded(source.texture),
        depth=regridded(source.depth, -1e3),
        brain=regridded(source.brain.astype(np.float32)) > 0.5,
        origin=origin,
        resolution=resolution,
    )


def _hull(anatomy: Anatomy) -> np.ndarray:
    """Return the distance in mm to a smooth surface around brain and dura, positive inside."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    inside = anatomy.depth > 0
    # A closing by distances: 16 mm out, and back.
    grown = np.pad(inside, 6)
    grown = distance_transform_edt(~grown) * anatomy.resolution < 16
    closed = (distance_transform_edt(grown) * anatomy.resolution > 16)[6:-6, 6:-6, 6:-6] | inside
    signed = distance_transform_edt(closed) - distance_transform_edt(~closed)
    signed = np.where(signed > 0, signed - 0.5, signed + 0.5) * anatomy.resolution
    return np.asarray(gaussian_filter(signed, 1.0), dtype=np.float32)


def _ventricles(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray]:
    """Return ``Template.to_ventricle`` and the distance to the ventricles in mm, 0 inside."""
    from scipy.ndimage import distance_transform_edt

    x, y, z = anatomy.axes()
    fluid = anatomy.brain & (anatomy.grey + anatomy.white < 0.55) & (anatomy.depth > 20)
    fluid &= (np.abs(x) < 36) & (z > -16) & (z < 40) & (y > -60) & (y < 45)
    distance, nearest = distance_transform_edt(~fluid, return_indices=True)
    offset = (nearest - np.indices(fluid.shape)) * anatomy.resolution
    distance = distance * anatomy.resolution
    direction = offset / np.maximum(distance, 1e-3)
    return (direction * np.exp(-distance / 22)).astype(np.float32), distance


def _around(anatomy: Anatomy, hull: np.ndarray) -> np.ndarray:
    def body(centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
        """Return about the distance in mm to an ellipsoid's surface, positive inside."""
        parts = [((a - c) / r) ** 2 for a, c, r in zip(anatomy.axes(), centre, radii, strict=True)]
        return (1 - np.sqrt(parts[0] + parts[1] + parts[2])) * min(radii)

    def share(distance: np.ndarray) -> np.ndarray:
        """Return how much of a voxel lies inside, given the distance of its centre."""
        return np.clip(0.5 + distance / anatomy.resolution, 0, 1)

    def both_sides(x: float, y: float, z: float, radii: tuple[float, ...]) -> np.ndarray:
        return np.maximum(body((x, y, z), radii), body((-x, y, z), radii))

    vault = hull + FLUID + BONE + SCALP
    face = body((0, 44, -58), (58, 46, 62))
    neck = np.minimum(body((0, -30, -140), (56, 58, 130)), -30 - anatomy.axes()[2])
    nose = body((0, 88, -52), (13, 16, 18))
    skin = np.maximum.reduce([vault, face, neck, nose])
    fluid = share(hull + FLUID)
    bone = share(hull + FLUID + BONE) - fluid
    orbit = both_sides(32, 58, -34, (19, 24, 18))
    eye = both_sides(32, 64, -34, (12, 12, 12))
    nasal = body((0, 62, -52), (12, 24, 22))
    air = np.maximum.reduce(
        [
            nasal,
            both_sides(28, 52, -60, (13, 16, 15)),
            body((0, 20, -88), (11, 9, 34)),
            body((0, 70, -12), (16, 6, 9)),
            both_sides(34, -14, -44, (6, 5, 6)),
        ]
    )
    spine = body((0, -46, -124), (13, 13, 60))
    outside = 1 - fluid - bone
    fat = np.maximum(share(skin) - share(skin - 0.8 * SCALP), share(orbit)) * outside
    fat = fat * (1 - share(eye))
    eyes = share(eye) * outside
    muscle = (share(skin) - fat - eyes).clip(0) * outside
    empty = 1 - share(air) * (1 - fluid)
    marrow = 0.45 * bone * share(hull + FLUID + 0.7 * BONE) * share(-(hull + FLUID + 0.3 * BONE))
    marrow = marrow + 0.7 * share(spine) * outside
    muscle = muscle * (1 - share(spine))
    tissues = (fluid + eyes, muscle * empty, fat * empty, marrow)
    return np.stack(tissues).astype(np.float32)
