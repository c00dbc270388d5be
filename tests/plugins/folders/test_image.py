"""Image files of every kind that a brain data set may hold."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from mritk import DataError, sha256_of
from mritk_folders.image import read_image

GREY = np.random.default_rng(0).integers(0, 256, (6, 9), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def stored(tmp_path):
    def save(image, name="image.png", **options):
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.mark.parametrize("name", ["i.png", "i.bmp", "i.tif", "i.gif"])
def test_grey_files_come_back_as_height_by_width(stored, name):
    pixels = read_image(stored(GREY, name))
    assert pixels.dtype == np.uint8
    if name == "i.gif":  # always a palette, hence colour with three equal channels
        pixels = pixels[..., 1]
    np.testing.assert_array_equal(pixels, GREY)


@pytest.mark.parametrize("name", ["i.png", "i.bmp", "i.tif"])
def test_colour_files_come_back_as_height_by_width_by_3(stored, name):
    np.testing.assert_array_equal(read_image(stored(COLOUR, name)), COLOUR)


def test_a_grey_jpeg_is_grey(stored):
    pixels = read_image(stored(GREY, "i.jpg", quality=95))
    assert pixels.shape == (6, 9)


def test_a_grey_jpeg_stored_as_rgb_has_three_equal_channels(stored):
    smooth = np.add.outer(np.arange(32) * 3, np.arange(32) * 4).astype(np.uint8)
    image = Image.fromarray(np.stack([smooth] * 3, axis=-1))
    pixels = read_image(stored(image, "i.jpg", quality=90))
    assert pixels.shape == (32, 32, 3)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 1])
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


def test_16_bits_are_scaled_from_their_own_minimum_and_maximum(stored):
    deep = np.array([[100, 200], [300, 1124]], dtype=np.uint16)
    expected = np.rint((deep - 100.0) / 1024 * 255).astype(np.uint8)
    for name in ("i.png", "i.tif"):
        np.testing.assert_array_equal(read_image(stored(deep, name)), expected)


def test_16_bits_are_not_cut_to_their_lower_or_upper_byte(stored):
    deep = np.linspace(0, 65535, 54).reshape(6, 9).astype(np.uint16)
    pixels = read_image(stored(deep))
    assert np.all(np.diff(pixels.flatten().astype(int)) >= 0)
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_a_constant_16_bit_image_is_black(stored):
    assert read_image(stored(np.full((3, 3), 777, dtype=np.uint16))).max() == 0


def test_floating_point_tiffs_are_scaled(stored):
    values = np.array([[-1.0, 0.0], [1.0, 3.0]], dtype=np.float32)
    np.testing.assert_array_equal(read_image(stored(values, "i.tif")), [[0, 64], [128, 255]])


def test_a_palette_gives_its_colours_and_not_its_numbers(stored):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], dtype=np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    pixels = read_image(stored(image))
    np.testing.assert_array_equal(pixels[0, 0], [10, 20, 30])
    np.testing.assert_array_equal(pixels[0, 1], [200, 100, 50])


def test_black_and_white_is_0_and_255(stored):
    bits = Image.fromarray(GREY > 127)
    assert set(np.unique(read_image(stored(bits)))) == {0, 255}


def test_transparency_is_dropped_and_not_blended(stored):
    rgba = np.dstack([COLOUR, np.full((6, 9), 3, dtype=np.uint8)])
    np.testing.assert_array_equal(read_image(stored(rgba)), COLOUR)


def test_grey_with_transparency_is_grey(stored):
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(255 - GREY)])
    np.testing.assert_array_equal(read_image(stored(image)), GREY)


def test_a_cmyk_jpeg_becomes_rgb(stored):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    pixels = read_image(stored(image, "i.jpg", quality=95))
    assert pixels.shape == (8, 8, 3)
    np.testing.assert_allclose(pixels[4, 4], [255, 0, 0], atol=6)


# -- trouble -----------------------------------------------------------------------------------


def test_an_empty_file(tmp_path):
    (tmp_path / "i.png").touch()
    with pytest.raises(DataError, match="empty file"):
        read_image(tmp_path / "i.png")


def test_a_web_page_in_place_of_an_image_is_told(tmp_path):
    (tmp_path / "i.png").write_text("<!DOCTYPE html>")
    with pytest.raises(DataError, match="not an image: it is a web page"):
        read_image(tmp_path / "i.png")


def test_a_file_that_is_no_image(tmp_path):
    (tmp_path / "i.png").write_text("<html>")
    with pytest.raises(DataError, match="not an image"):
        read_image(tmp_path / "i.png")


@pytest.mark.parametrize("name", ["i.png", "i.jpg", "i.tif"])
def test_a_truncated_file(stored, name):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    path = stored(noise, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError):
        read_image(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError):
        read_image(tmp_path / "none.png")


def test_values_that_are_no_numbers_are_refused_and_not_turned_into_black(stored):
    values = np.array([[0.0, np.nan], [1.0, 2.0]], dtype=np.float32)
    with pytest.raises(DataError, match=r"NaN|finite"):
        read_image(stored(values, "i.tif"))


def test_a_stack_of_slices_in_one_file_is_refused_and_not_cut_to_the_first(stored):
    pages = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    path = stored(pages[0], "i.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError):
        read_image(path)


def test_the_digest_is_that_of_the_file(stored):
    path = stored(GREY)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
