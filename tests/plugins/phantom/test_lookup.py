"""Template maps at the points of a patient: looking up only where there is something."""

from __future__ import annotations

import numpy as np
import pytest

from mritk_phantom.anatomy import Anatomy
from mritk_phantom.lookup import Map, Places, in_voxels, interpolate, interpolate_all

SHAPE = (9, 11, 8)


@pytest.fixture
def anatomy() -> Anatomy:
    nothing = np.zeros(SHAPE, dtype=np.float32)
    origin = np.array([-20.0, 5.0, 3.5])
    return Anatomy(nothing, nothing, nothing, nothing, nothing > 0, origin, 2.5)


def points_around(anatomy: Anatomy, count: int = 30) -> np.ndarray:
    """Points in and around the grid; some lie on its voxels, its edges and its corners."""
    rng = np.random.default_rng(0)
    span = anatomy.resolution * (np.array(SHAPE) - 1)
    share = rng.uniform(-0.3, 1.3, (count, count, 2, 3))
    share[::3] = np.rint(share[::3] * 4) / 4
    points = anatomy.origin + share * span
    return np.moveaxis(points, -1, 0).astype(np.float32)


def test_a_sparse_map_has_the_same_values_bit_for_bit(anatomy):
    rng = np.random.default_rng(1)
    values = rng.standard_normal(SHAPE).astype(np.float32)
    values[rng.random(SHAPE) < 0.9] = 0
    points = points_around(anatomy)
    found = Places(points, anatomy).look_up(Map(values, values != 0))
    assert found.shape == points.shape[1:]
    assert np.count_nonzero(found) > 100
    assert np.array_equal(found, interpolate(values, in_voxels(points, anatomy)))


def test_several_maps_at_once_have_the_same_values_bit_for_bit(anatomy, monkeypatch):
    monkeypatch.setattr("mritk_phantom.lookup.AT_ONCE", 1000)
    maps = np.random.default_rng(1).standard_normal((3, *SHAPE)).astype(np.float32)
    voxels = in_voxels(points_around(anatomy), anatomy).reshape(3, -1)
    assert voxels.shape[1] % 1000, "the last ones are fewer"
    found = interpolate_all(maps, voxels)
    for values, one in zip(found, maps, strict=True):
        assert np.count_nonzero(values) > 100
        assert np.array_equal(values, interpolate(one, voxels))


def test_between_voxels_that_are_left_out_the_outside_is_taken(anatomy):
    values = np.full(SHAPE, 5.0, dtype=np.float32)
    where = np.zeros(SHAPE, dtype=bool)
    where[4, 5, 6] = True
    template, middle = Map(values, where, outside=-1.0), np.array([4, 5, 6])
    for offset, expected in (((0.9, -0.9, 0.9), 5.0), ((1.1, 0, 0), -1.0), ((0, 0, -1.1), -1.0)):
        point = anatomy.origin + anatomy.resolution * (middle + offset)
        found = Places(point.astype(np.float32).reshape(3, 1, 1, 1), anatomy).look_up(template)
        assert found.item() == expected


def test_beyond_the_grid_the_outside_is_taken(anatomy):
    everywhere = Map(np.ones(SHAPE, np.float32), np.ones(SHAPE, bool), outside=-1.0)
    for share, expected in ((1.0, 1.0), (1.001, -1.0), (0.0, 1.0), (-0.001, -1.0)):
        point = anatomy.origin + share * anatomy.resolution * (np.array(SHAPE) - 1)
        places = Places(point.astype(np.float32).reshape(3, 1, 1, 1), anatomy)
        assert places.look_up(everywhere).item() == expected
