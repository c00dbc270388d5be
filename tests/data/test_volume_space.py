"""Where voxels lie: files for other programs, and their images brought back; nibabel tells."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest

from mritk import DataError
from mritk.data.volume_space import Space, affine_of, around_middle

SHAPE = (4, 5, 6)
VALUES = np.arange(120, dtype=np.uint8).reshape(SHAPE)
ORIENTATIONS = [
    "".join(codes)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*axes)
]


def rotation(degrees):
    """Return a matrix that turns about the axis of the ears, as a nodding head does."""
    turn, angle = np.eye(4), np.deg2rad(degrees)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def oblique(degrees=17.0):
    return rotation(degrees) @ around_middle(SHAPE, (3.0, 2.0, 0.5))


def turned(image, codes):
    """Return an image with its axes in another order; its voxels stay where they are."""
    wanted = nibabel.orientations.axcodes2ornt(codes)
    return image.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), wanted)
    )


def test_without_an_affine_the_spacing_places_a_volume_around_its_middle(make_samples):
    samples = make_samples(4, spatial_dims=3, spacing=np.full((4, 3), [3.0, 2.0, 1.0]))
    affine = affine_of(samples, 0, (5, 7, 9))
    # The middle is at 0; upwards is along D, to the front against H, to the right against W.
    np.testing.assert_allclose(affine @ [2, 3, 4, 1], [0, 0, 0, 1])
    np.testing.assert_allclose(affine @ [3, 3, 4, 1], [0, 0, 3, 1])
    np.testing.assert_allclose(affine @ [2, 4, 4, 1], [0, -2, 0, 1])
    np.testing.assert_allclose(affine @ [2, 3, 5, 1], [-1, 0, 0, 1])
    assert nibabel.aff2axcodes(affine) == ("S", "P", "L")


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)])
def test_an_affine_that_gives_no_place_is_refused(make_samples, affine):
    samples = make_samples(2, spatial_dims=3, affine=lambda i: affine)
    with pytest.raises(DataError, match=r"the affine of .* gives its voxels no place in mm"):
        Space.of(samples, 0, SHAPE)


@pytest.mark.parametrize("degrees", [0.0, 17.0, -40.0])
def test_an_image_has_axes_to_the_right_the_front_and_up_and_voxels_where_they_lie(degrees):
    space = Space(SHAPE, oblique(degrees))
    image = space.image(VALUES)
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.shape == space.image_shape == (6, 5, 4)
    assert image.header.get_zooms() == space.image_spacing == pytest.approx((0.5, 2.0, 3.0))
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (image.header["sform_code"], image.header["qform_code"]) == (2, 2)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
    to_voxel = np.linalg.inv(image.affine) @ space.affine
    for place in np.ndindex(SHAPE):
        x, y, z, _ = np.rint(to_voxel @ [*place, 1]).astype(int)
        assert image.dataobj[x, y, z] == VALUES[place]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_an_image_comes_back_whatever_the_order_of_its_axes(codes):
    # At 45 degrees, rounding decides which axis is the closest to which.
    for degrees in (0.0, 17.0, 45.0):
        space = Space(SHAPE, oblique(degrees))
        image = turned(space.image(VALUES), codes)
        image.set_sform(image.affine + 1e-5)
        np.testing.assert_array_equal(space.values_of(image), VALUES)


def test_an_image_of_a_reader_that_knows_no_shears_comes_back():
    sheared = oblique() @ np.array([[1, 0.05, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    space = Space(SHAPE, sheared)
    image = space.image(VALUES)
    without = nibabel.Nifti1Image(np.asarray(image.dataobj), image.get_qform())
    assert not np.allclose(without.affine, image.affine, atol=1e-2)
    np.testing.assert_array_equal(space.values_of(without), VALUES)
    np.testing.assert_array_equal(space.values_of(image), VALUES)


def moved(by):
    def change(affine):
        affine[0, 3] += by
        return affine

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(moved(0.25), moved(200.0), lambda a: np.eye(4), lambda a: a * np.nan, np.zeros_like),
        *(lambda a: a @ np.diag([1, 1, 1.1, 1]), lambda a: rotation(5) @ a),
    ],
    ids=["half a voxel", "elsewhere", "identity", "NaN", "none", "spacing", "rotation"],
)
def test_an_image_on_another_grid_is_refused(change):
    space = Space(SHAPE, oblique())
    image = space.image(VALUES)
    other = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine)
    other._affine = change(image.affine.copy())  # as read from a header of another program
    with pytest.raises(DataError, match=r"lies on another grid than its image; write it with the"):
        space.values_of(other)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 4, 2), (5, 5, 4)])
def test_an_image_of_another_shape_is_refused_with_both_shapes(shape):
    space = Space(SHAPE, oblique())
    other = nibabel.Nifti1Image(np.zeros(shape, np.uint8), space.image(VALUES).affine)
    with pytest.raises(DataError) as refused:
        space.values_of(other)
    assert f"its shape is {shape}, that of the image (6, 5, 4)" in str(refused.value)
