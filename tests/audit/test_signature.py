"""What is kept of an image: digests, facts, small pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage, stats

from mritk.audit.detail import edges_enhanced, equalised
from mritk.audit.shrink import Shrinkable, halved
from mritk.audit.signature import SIDES, content_box, coverage, quantile, signature


def test_a_grey_picture_has_one_digest_whether_stored_grey_or_in_colour(heads):
    grey = signature(heads[0], 2)
    colour = signature(np.repeat(heads[0][..., None], 3, axis=-1), 2)
    assert grey.pixels == colour.pixels
    assert grey.mode == colour.mode == "grey uint8"
    assert grey.shape == (96, 96)


def test_one_changed_pixel_changes_the_digest(heads):
    changed = heads[0].copy()
    changed[50, 50] ^= 1
    assert signature(changed, 2).pixels != signature(heads[0], 2).pixels


def test_two_shapes_of_the_same_bytes_differ():
    flat = np.arange(64, dtype=np.uint8)
    assert signature(flat.reshape(8, 8), 2).pixels != signature(flat.reshape(4, 16), 2).pixels


def test_real_colour_is_told(heads):
    colour = np.stack([heads[0], heads[1], heads[2]], axis=-1)
    assert signature(colour, 2).mode == "colour uint8"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_colour_is_shown_by_the_mean_of_its_channels(dtype):
    colour = (np.random.default_rng(0).random((64, 64, 3)) * 255).astype(dtype)
    found, mean = signature(colour, 2), colour.mean(axis=-1).astype(np.float32)
    assert (found.low, found.high) == (mean.min(), mean.max())
    np.testing.assert_array_equal(found.whole, signature(mean, 2).whole)


def test_small_pictures_use_the_full_range_whatever_the_contrast(heads):
    dim = signature((heads[0] // 8 + 100).astype(np.uint8), 2)
    assert dim.whole.min() == 0
    assert dim.whole.max() == 255
    bright = signature(heads[0], 2)
    assert np.abs(dim.whole.astype(int) - bright.whole).mean() < 6


def test_a_constant_image_is_called_so():
    flat = signature(np.full((20, 30), 7, np.uint8), 2)
    assert not flat.whole.any()
    assert (flat.low, flat.high) == (7, 7)


@pytest.mark.parametrize("value", [0, 255, 90])
def test_the_content_box_leaves_out_padding_of_any_colour(heads, value):
    plain = content_box(Shrinkable(heads[0]))
    padded = content_box(Shrinkable(np.pad(heads[0], ((20, 7), (40, 0)), constant_values=value)))
    for (first, last), (moved_first, moved_last), offset in zip(
        plain, padded, (20, 40), strict=True
    ):
        assert abs(moved_first - offset - first) < 1.5
        assert abs(moved_last - offset - last) < 1.5


def test_the_content_box_finds_an_ellipse_to_two_of_its_pixels():
    # It looks at 128 pixels a side: here 1.6 by 1.25 pixels of the image each.
    y, x = np.mgrid[0:200, 0:160]
    disc = (((y - 90.5) / 50) ** 2 + ((x - 70.5) / 30) ** 2 < 1) * np.uint8(200)
    (top, bottom), (left, right) = content_box(Shrinkable(disc.astype(np.uint8)))
    assert abs(top - 41) < 3.2
    assert abs(bottom - 141) < 3.2
    assert abs(left - 41) < 2.5
    assert abs(right - 101) < 2.5


def test_an_image_that_is_all_content_comes_back_nearly_whole():
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), dtype=np.uint8)
    for first, last in content_box(Shrinkable(noise)):
        assert first < 8
        assert last > 92


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("shape", [(2,), (7, 9), (128, 128), (12, 12, 12)])
def test_a_quantile_is_numpys(shape, share):
    values = np.random.default_rng(0).normal(0, 50, shape).astype(np.float32)
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-6)
    assert quantile(np.zeros(shape, np.float32), share) == 0


def test_coverage_is_the_share_of_the_frame():
    picture = np.zeros((100, 100), np.uint8)
    picture[30:70, 40:60] = 200
    assert coverage(signature(picture, 2).box) == pytest.approx(0.08, abs=0.02)


def test_the_small_pictures_of_volumes_are_cubes():
    volume = np.random.default_rng(0).random((12, 20, 16)).astype(np.float32)
    found = signature(volume, 3)
    assert found.whole.shape == found.content.shape == (SIDES[3],) * 3
    assert found.mode == "volume float32"


def test_an_image_of_one_colour_is_constant():
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 255
    found = signature(red, 2)
    assert found.low == found.high


@pytest.mark.parametrize(
    ("array", "dims", "message"),
    [
        (np.zeros((8, 8, 4), np.uint8), 2, "shape"),
        (np.zeros((8, 8), np.int16), 2, "int16"),
        (np.zeros((0, 4), np.uint8), 2, "empty"),
        (np.full((4, 4), np.nan), 2, "NaN"),
        (np.zeros((4, 4), np.uint8), 3, "shape"),
        (np.zeros((2, 4, 4, 4), np.uint8), 3, "shape"),
    ],
)
def test_what_is_no_image_is_refused(array, dims, message):
    with pytest.raises(ValueError, match=message):
        signature(array, dims)


@pytest.mark.parametrize("shape", [(9, 7), (3, 3), (2, 5), (1, 1), (40, 64), (131, 5)])
def test_enhanced_edges_are_pillows(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    expected = np.asarray(Image.fromarray(picture).filter(ImageFilter.EDGE_ENHANCE))
    np.testing.assert_array_equal(edges_enhanced(picture), expected)


@pytest.mark.parametrize("shape", [(9, 7), (8, 6), (1, 1)])
def test_an_image_of_8_bits_is_halved_as_one_of_floats(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for grid in (picture, picture.T):
        np.testing.assert_array_equal(halved(grid), halved(grid.astype(np.float32)))


def test_an_equalised_picture_holds_ranks_whatever_curve_was_applied(heads):
    ranks = stats.rankdata(heads[0], axis=None).reshape(heads[0].shape) - 0.5
    np.testing.assert_allclose(equalised(heads[0]), ranks / ranks.size * 255, atol=0.51)
    brightened = (heads[0] // 2 + 90).astype(np.uint8)
    np.testing.assert_array_equal(equalised(brightened), equalised(heads[0] // 2))


def test_the_details_of_a_float_image_are_those_of_its_8_bits(heads):
    one = signature(heads[0], 2).detail
    assert one.shape == (3, 128, 128)
    spread = heads[0].astype(np.float32) * (3000 / heads[0].max()) - 1000
    other = signature(spread, 2).detail
    stretched = signature((heads[0] * (255 / heads[0].max())).round().astype(np.uint8), 2).detail
    assert np.abs(one[0].astype(int) - other[0]).max() <= 1
    assert np.abs(stretched.astype(int) - other).max() <= 2


@pytest.mark.parametrize("shape", [(512, 512), (701, 513), (130, 1100)])
def test_reducing_large_images_first_changes_next_to_nothing(shape):
    noise = np.random.default_rng(0).normal(size=shape)
    large = ndimage.gaussian_filter(noise, 6).astype(np.float32)
    large = ((large - large.min()) * (255 / np.ptp(large))).astype(np.uint8)
    box = ((0.03 * shape[0], 0.9 * shape[0]), (0.0, float(shape[1])))
    bounds = (box[1][0], box[0][0], box[1][1], box[0][1])
    image = Image.fromarray(large.astype(np.float32))
    expected = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR, box=bounds))
    error = np.abs(Shrinkable(large).resized(box, 64) - expected)
    assert error.mean() < 1
    assert error.max() < 5, "of 255 levels"


def test_volumes_have_no_details():
    assert signature(np.random.default_rng(0).random((9, 9, 9), np.float32), 3).detail.size == 0
