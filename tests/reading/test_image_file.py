"""Image files of every kind that a brain data set may hold."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from mritk import DataError, grey_levels, read_image, sha256_of

GREY = np.random.default_rng(0).integers(0, 256, (6, 9), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 9, 3), dtype=np.uint8)


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


@pytest.mark.parametrize("kind", ["f8", "c8"])
def test_a_tiff_of_pixels_that_cannot_be_read_is_told_how_to_be_saved(tmp_path, kind):
    tifffile.imwrite(tmp_path / "i.tif", GREY.astype(kind))
    with pytest.raises(DataError, match="with 8 or 16 bits per channel"):
        read_image(tmp_path / "i.tif")
    with pytest.raises(DataError, match="with 8 or 16 bits per channel"):
        read_image((tmp_path / "i.tif").read_bytes())


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


# -- more than 8 bits --------------------------------------------------------------------------

DEEP = np.random.default_rng(2).integers(0, 4096, (20, 24, 4), dtype=np.uint16)


def png(channels, color_type):
    """Write a PNG of 16 bits as its specification says, each row by another filter."""
    channels = channels.reshape(*channels.shape[:2], -1)
    height, width, count = channels.shape
    rows = channels.astype(">u2", order="C").view(np.uint8).reshape(height, -1).astype(int)
    left = np.pad(rows, ((0, 0), (2 * count, 0)))[:, : -2 * count]
    above = np.pad(rows, ((1, 0), (0, 0)))[:-1]
    filtered = [rows, rows - left, rows - above, rows - (left + above) // 2]
    lines = [
        bytes([k % 4, *(filtered[k % 4][k] % 256).astype(np.uint8).tobytes()])
        for k in range(height)
    ]

    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    data = zlib.compress(b"".join(lines))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(channels, **options):
    content = io.BytesIO()
    count = channels.shape[2] if channels.ndim == 3 else 1
    options.setdefault("photometric", "rgb" if count > 2 else "minisblack")
    if count == 4:
        options.setdefault("extrasamples", ["unassalpha"])
    if count > 1:
        options.setdefault("planarconfig", "contig")
    tifffile.imwrite(content, channels, **options)
    return content.getvalue()


@pytest.mark.parametrize("name", ["i.png", "i.tif"])
def test_16_bits_become_grey_levels_as_volumes_do(stored, name):
    np.testing.assert_array_equal(read_image(stored(DEEP[..., 0], name)), grey_levels(DEEP[..., 0]))


@pytest.mark.parametrize(("color_type", "channels"), [(2, (0, 1, 2)), (6, (0, 1, 2, 3))])
@settings(max_examples=25, deadline=None)
@given(values=arrays(np.uint16, (4, 3, 4)))
def test_16_bits_per_channel_are_read_whole_from_png(color_type, channels, values):
    pixels = read_image(png(values[..., channels], color_type))
    colours = values[..., :3]
    same = (colours == colours[..., :1]).all()
    one = np.dstack([grey_levels(colours[..., 0])] * 3)
    np.testing.assert_array_equal(pixels, one if same else grey_levels(colours))


@settings(max_examples=25, deadline=None)
@given(values=arrays(np.uint16, (4, 3, 2)), color_type=st.sampled_from([2, 4, 6]))
def test_grey_saved_as_colour_or_with_transparency_is_shown_as_its_grey_twin(values, color_type):
    grey, alpha = values[..., 0], values[..., 1]
    layers = {2: [grey] * 3, 4: [grey, alpha], 6: [grey] * 3 + [alpha]}[color_type]
    pixels = read_image(png(np.dstack(layers), color_type))
    twin = read_image(png(grey, 0))
    np.testing.assert_array_equal(pixels, twin if color_type == 4 else np.dstack([twin] * 3))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 2},
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True, "tile": (16, 16)},
    ],
    ids=str,
)
def test_16_bits_per_channel_are_read_whole_from_tiff(byteorder, count, options):
    values = DEEP[..., 0] if count == 1 else DEEP[..., :count]
    pixels = read_image(tiff(values, byteorder=byteorder, **options))
    np.testing.assert_array_equal(
        pixels, grey_levels(DEEP[..., 0] if count == 1 else DEEP[..., :3])
    )


@pytest.mark.parametrize(
    "content",
    [
        tiff(DEEP[..., :3].transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        tiff(DEEP, extrasamples=["assocalpha"]),
        tiff(DEEP, photometric="separated", extrasamples=[]),
    ],
    ids=["planes", "premultiplied", "CMYK"],
)
def test_16_bits_per_channel_that_would_be_cut_to_8_are_refused(content):
    with pytest.raises(DataError, match=r"16 bits per channel.*save it as a 16-bit .*PNG"):
        read_image(content)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32, np.int32, np.float32])
def test_whole_and_real_numbers_in_tiff_keep_their_values(dtype):
    values = np.array([[-100, 0, 3], [40, 90, 100]]).astype(dtype)
    np.testing.assert_array_equal(read_image(tiff(values)), grey_levels(values))


def test_a_deep_tiff_in_which_white_is_0_is_inverted():
    values = DEEP[..., 0]
    pixels = read_image(tiff(values, photometric="miniswhite"))
    np.testing.assert_array_equal(pixels, grey_levels(values.max() - values))


def test_a_constant_16_bit_image_is_black(stored):
    assert read_image(stored(np.full((3, 3), 777, dtype=np.uint16))).max() == 0


# -- 8 bits ------------------------------------------------------------------------------------


STORABLE = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "jpeg": ("L", "RGB", "CMYK", "YCbCr"),
    "tiff": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"),
    "bmp": ("1", "L", "P", "RGB", "RGBA"),
    "gif": ("1", "L", "P", "RGB", "RGBA"),
    "webp": ("L", "RGB", "RGBA"),
}


@pytest.mark.parametrize(
    ("form", "mode"), [(form, mode) for form, modes in STORABLE.items() for mode in modes]
)
def test_8_bits_are_what_pillow_reads(form, mode):
    content = io.BytesIO()
    options = {"lossless": True} if form == "webp" else {}
    Image.fromarray(COLOUR).convert(mode).save(content, form, **options)
    with Image.open(content) as image:
        wanted = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    np.testing.assert_array_equal(read_image(content.getvalue()), wanted)


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


# -- orientation -------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["png", "jpeg", "tiff", "webp"])
@pytest.mark.parametrize("picture", [GREY, COLOUR], ids=["grey", "colour"])
def test_images_are_turned_upright(orientation, form, picture):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    options = {"lossless": True} if form == "webp" else {}
    Image.fromarray(picture).save(content, form, exif=exif, **options)
    with Image.open(content) as image:
        upright = ImageOps.exif_transpose(image)
        wanted = np.asarray(upright.convert("L" if image.mode == "L" else "RGB"))
    pixels = read_image(content.getvalue())
    np.testing.assert_array_equal(pixels, wanted)
    assert pixels.shape[:2] == ((9, 6) if orientation > 4 else (6, 9))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_deep_images_are_turned_upright(orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    Image.fromarray(DEEP[..., 0]).save(content, form, exif=exif)
    with Image.open(content) as image:
        wanted = grey_levels(np.asarray(ImageOps.exif_transpose(image)))
    np.testing.assert_array_equal(read_image(content.getvalue()), wanted)


def test_a_deep_colour_tiff_is_turned_upright():
    options = {"extratags": [(274, "H", 1, 6, True)]}
    pixels = read_image(tiff(DEEP[..., :3], **options))
    np.testing.assert_array_equal(pixels, grey_levels(np.rot90(DEEP[..., :3], -1)))


def test_the_digest_is_that_of_the_file(stored):
    path = stored(GREY)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
