"""Flips and quarter turns, against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.audit.symmetry import symmetries, turn_each


@pytest.mark.parametrize(("dims", "count"), [(2, 8), (3, 48)])
def test_they_are_all_the_symmetries_of_the_square_and_the_cube(dims, count):
    grid = np.random.default_rng(0).random([5] * dims)
    results = {symmetry.apply(grid).tobytes() for symmetry in symmetries(dims)}
    assert len(symmetries(dims)) == len(results) == count
    assert np.array_equal(symmetries(dims)[0].apply(grid), grid)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_inverse_undoes(dims):
    grids = np.random.default_rng(0).random((2, *[4] * dims))
    for symmetry in symmetries(dims):
        assert np.array_equal(symmetry.inverse.apply(symmetry.apply(grids)), grids)


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("", np.asarray),
        ("flipped horizontally", np.fliplr),
        ("flipped vertically", np.flipud),
        ("rotated by 90° anticlockwise", np.rot90),
        ("rotated by 180°", lambda a: np.rot90(a, 2)),
        ("rotated by 90° clockwise", lambda a: np.rot90(a, 3)),
        ("transposed", np.transpose),
        ("transposed and rotated by 180°", lambda a: np.rot90(a.T, 2)),
    ],
)
def test_names_say_what_is_done(name, turned):
    picture = np.arange(16).reshape(4, 4)
    found = [s for s in symmetries(2) if np.array_equal(s.apply(picture), turned(picture))]
    assert [symmetry.name for symmetry in found] == [name]


def test_names_of_volumes_tell_them_apart():
    assert len({symmetry.name for symmetry in symmetries(3)}) == 48


@pytest.mark.parametrize("shape", [(8, 4, 4), (8, 3, 4, 4), (48, 4, 4, 4)], ids=str)
def test_each_grid_is_turned_by_its_own_with_all_that_is_known_of_it(shape):
    grids = np.random.default_rng(0).random(shape)
    dims = 3 if len(grids) == 48 else 2
    turned = grids.copy()
    turn_each(turned, np.arange(len(grids)), dims)
    for symmetry, one, other in zip(symmetries(dims), grids, turned, strict=True):
        assert np.array_equal(symmetry.apply(one), other)
