"""Image files that are damaged, hostile or no images are refused in one line."""

from __future__ import annotations

import io
import os
import socket
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from mritk import DataError, read_image, sha256_of
from tests.reading.test_image_file import DEEP, png, tiff

GREY = np.random.default_rng(0).integers(0, 256, (6, 9), dtype=np.uint8)


COLOUR = np.random.default_rng(1).integers(0, 256, (6, 9, 3), dtype=np.uint8)


# -- trouble -----------------------------------------------------------------------------------


def test_an_empty_file(tmp_path):
    (tmp_path / "i.png").touch()
    with pytest.raises(DataError, match="empty file"):
        read_image(tmp_path / "i.png")


def test_a_file_that_is_no_image(tmp_path):
    (tmp_path / "i.png").write_text("<html>")
    with pytest.raises(DataError, match="not an image"):
        read_image(tmp_path / "i.png")


@pytest.mark.parametrize("allowed", [False, True], ids=["", "also where a plugin has allowed it"])
@pytest.mark.parametrize("name", ["i.png", "i.jpg", "i.tif"])
def test_a_truncated_file(stored, name, allowed, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", allowed)
    noise = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    path = stored(noise, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError):
        read_image(path)


@settings(max_examples=60, deadline=None)
@given(
    content=st.sampled_from([png(DEEP[..., :3], 2), tiff(DEEP[..., :3]), tiff(DEEP[..., 0])]),
    changes=st.dictionaries(st.integers(8, 200), st.integers(0, 255), min_size=1, max_size=4),
)
@example(tiff(DEEP[..., 0]), {178: 2})  # a second image of no size: Pillow raises a TypeError
def test_a_file_with_wrong_bytes_is_an_image_or_an_error_of_one_line(content, changes):
    damaged = bytearray(content)
    for place, byte in changes.items():
        damaged[place] = byte
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert read_image(bytes(damaged)).dtype == np.uint8
        except DataError as error:
            assert "\n" not in str(error)


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


# -- hostile files -----------------------------------------------------------------------------


def test_postscript_is_not_handed_to_ghostscript(tmp_path, monkeypatch):
    content = io.BytesIO()
    Image.fromarray(COLOUR).save(content, "eps")
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("was called"))
    (tmp_path / "i.png").write_bytes(content.getvalue())
    with pytest.raises(DataError, match="not an image"):
        read_image(tmp_path / "i.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [11, 100])
def test_an_image_of_too_many_pixels_is_refused_in_one_line(monkeypatch, side):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = png(np.zeros((side, side), np.uint16), 0)
    with pytest.raises(DataError, match=r"pixels") as error:
        read_image(content)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["device", "pipe", "socket", "folder"])
@pytest.mark.parametrize("read", [read_image, sha256_of])
def test_what_is_no_regular_file_is_not_opened(tmp_path, monkeypatch, kind, read):
    """Reading a link to /dev/zero never ends, and opening a pipe waits for its writer."""
    path = tmp_path / "i.png"
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("i.png")
    with pytest.raises(DataError, match="not a regular file"):
        read(path)


def test_a_link_to_a_regular_file_is_one(stored, tmp_path):
    (tmp_path / "link.png").symlink_to(stored(GREY))
    np.testing.assert_array_equal(read_image(tmp_path / "link.png"), GREY)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<!DOCTYPE html>", "not an image: it is a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1", "'git lfs pull'"),
    ],
)
def test_what_stands_in_for_an_image_is_told(tmp_path, content, told):
    (tmp_path / "i.png").write_text(content)
    with pytest.raises(DataError, match=told):
        read_image(tmp_path / "i.png")
