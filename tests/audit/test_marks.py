"""Marks in the corners of a frame: what is one, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from mritk.audit.marks import corner_marks, in_corners

SIDE = 128
BELOW = np.full((SIDE, SIDE), 90, np.float32)
BELOW[60:70, 60:70] = 240  # something bright in the middle


def letters(place, text="R 12", size=12, fill=250) -> np.ndarray:
    """Return the picture with letters, (128, 128) float32."""
    image = Image.fromarray(BELOW.astype(np.uint8))
    ImageDraw.Draw(image).text(place, text, fill=fill, font=ImageFont.load_default(size=size))
    return np.asarray(image).astype(np.float32)


def disc(place, radius, value=250) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = np.hypot(y - place[0], x - place[1]) < radius
    return np.where(inside, np.float32(value), BELOW)


def marks(picture, below=BELOW) -> np.ndarray:
    corners = in_corners(SIDE)[None] > 0
    return corner_marks(picture[None], below[None], corners)[0]


@pytest.mark.parametrize("place", [(4, 3), (100, 3), (4, 110), (100, 110)])
def test_letters_are_found_in_every_corner_with_all_their_pixels(place):
    picture = letters(place)
    found = marks(picture)
    assert found[picture != BELOW].all()
    assert found.mean() < 0.03, "the letters and a margin, not the corner"


def test_a_line_is_found():
    picture = BELOW.copy()
    picture[np.arange(100, 120), np.arange(100, 120)] = 250
    assert marks(picture)[np.arange(100, 120), np.arange(100, 120)].all()


@pytest.mark.parametrize("place", [(55, 40), (4, 52)])
def test_letters_elsewhere_are_not_looked_at(place):
    assert not marks(letters(place)).any()


def test_letters_darker_than_the_head_are_no_marks():
    assert not marks(letters((4, 3), fill=150)).any()


@pytest.mark.parametrize("radius", [1, 1.5, 2, 2.56, 4, 8])
@pytest.mark.parametrize("place", [(14, 16.5), (15.5, 15.5), (127, 12), (20, 0)])
def test_a_disc_is_no_mark_whatever_its_size(place, radius):
    assert not marks(disc(place, radius)).any()


def test_what_a_bright_head_hides_of_a_disc_counts_as_there():
    """What is seen of it alone is as thin as a stroke."""
    bright = BELOW.copy()
    bright[10:30, 10:14] = 245
    half = np.where(disc((20, 13), 4) > 200, np.float32(250), bright)
    seen = (half - bright) > 50
    assert np.ptp(np.nonzero(seen)[0]) + 1 >= 6
    assert not marks(half, bright).any()


def test_equal_pictures_have_no_marks():
    assert not marks(BELOW).any()
    assert not marks(np.zeros_like(BELOW), np.zeros_like(BELOW)).any()
