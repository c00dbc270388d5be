"""Copies that were sharpened, blurred, turned, cropped or marked; each part against an oracle."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from benchmarks.audit.planted_copies import average_head, false_among_neighbours, score
from benchmarks.audit.plants import ALTERED, OTHERS
from mritk.audit.altered import Altered, _stands_alone, altered_copies, named
from mritk.audit.explain import explained
from mritk.audit.nearest import nearest
from mritk.audit.register import (
    halved,
    identities,
    locally_normalised,
    refined,
    roughly_registered,
    warped,
)
from mritk.audit.symmetry import symmetries


@pytest.fixture
def pictures(heads):
    """Six heads of 128 pixels."""
    return np.stack([np.asarray(Image.fromarray(h).resize((128, 128))) for h in heads[:6]])


def affine(degrees: float, zoom: float, down: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)) / zoom, np.sin(np.radians(degrees)) / zoom
    return np.array([[c, -s, down], [s, c, 0]])


def test_warping_is_scipys_linear_interpolation(pictures):
    move, centre = affine(7, 1.1, 0.03), 63.5
    found, inside = warped(pictures[:1].astype(np.float32), move[None])
    offset = centre - move[:, :2] @ [centre, centre] + 128 * move[:, 2]
    expected = ndimage.affine_transform(
        pictures[0].astype(np.float32), move[:, :2], offset, order=1, mode="nearest"
    )
    seen = ndimage.binary_erosion(inside[0], iterations=2)
    np.testing.assert_allclose(found[0][seen], expected[seen], atol=0.05)


@pytest.mark.parametrize("move", [affine(5, 1, 0), affine(0, 1.19, 0), affine(-2, 1.05, 0.04)])
def test_registration_recovers_turn_zoom_and_shift_whatever_the_contrast(pictures, move):
    fixed = pictures.astype(np.float32)
    moving = 0.6 * fixed + 50
    seen, _ = warped(fixed, np.tile(move, (6, 1, 1)))
    maps, correlation = roughly_registered(halved(halved(seen)), halved(halved(moving)))
    maps, finer = refined(halved(seen), halved(moving), maps)
    maps, finest = refined(seen, moving, maps)
    assert min(correlation.min(), finer.min(), finest.min()) > 0.85
    assert np.abs(maps - move).max() < 0.004, "half a pixel of 128"


def test_registration_of_strangers_stays_within_its_limits(pictures):
    small = halved(halved(pictures.astype(np.float32)))
    maps, correlation = roughly_registered(small[:3], small[3:])
    assert np.abs(maps - identities(3)).max() <= 0.3 + 1e-9
    assert correlation.max() < 0.8


def test_local_normalisation_does_not_depend_on_contrast(pictures):
    one = locally_normalised(pictures.astype(np.float32), 1, 4)
    other = locally_normalised(0.3 * pictures.astype(np.float32) + 40, 1, 4)
    assert np.abs(one - other).mean() < 0.02


def everywhere(pictures):
    return np.ones(pictures.shape, bool)


@pytest.mark.parametrize(
    "kind", ["unsharp mask 150 %", "blurred, σ 2", "equalised", "gamma 0.5", "marked in a corner"]
)
def test_an_alteration_is_explained_and_another_image_is_not(pictures, kind):
    one = pictures.astype(np.float32)
    other = np.stack([ALTERED[kind](p) for p in pictures]).astype(np.float32)
    same = explained(one, other, everywhere(one))
    different = explained(one, np.roll(other, 1, axis=0), everywhere(one))
    assert np.maximum(same.clipped, same.pieces).min() > 0.98
    assert same.local.min() > 0.9
    assert np.maximum(different.clipped, different.pieces).max() < 0.9


def test_contours_that_moved_are_not_explained(pictures):
    """What tells the next slice: no gain and no curve moves a contour."""
    y, x = np.mgrid[:128, :128].astype(float)
    wave = 1.0 * np.sin(y / 9), 1.0 * np.cos(x / 11)
    moved = np.stack(
        [ndimage.map_coordinates(p.astype(float), [y + wave[0], x + wave[1]]) for p in pictures]
    ).astype(np.float32)
    found = explained(pictures.astype(np.float32), moved, everywhere(moved))
    assert (1 - np.maximum(found.clipped, found.pieces)).min() > 0.01


def test_a_lesion_is_a_place_that_is_not_explained(pictures):
    other = np.stack([OTHERS["with a disc of radius 4 %"](p) for p in pictures])
    found = explained(pictures.astype(np.float32), other.astype(np.float32), everywhere(pictures))
    assert found.local.max() < 0.85


def test_the_nearest_are_found_turned_and_magnified(pictures):
    turned = ALTERED["turned by 5°"](pictures[1])
    cropped = Image.fromarray(ALTERED["cropped by 8 % on every side"](pictures[2]))
    mirrored = pictures[3][:, ::-1]
    stack = np.stack([*pictures, turned, np.asarray(cropped.resize((128, 128))), mirrored])
    rows, found, symmetry = nearest(stack)
    for copy, original in ((6, 1), (7, 2), (8, 3)):
        assert original in found[copy]
        assert copy in found[original]
    place = found[8].tolist().index(3)
    assert symmetries(2)[symmetry[8, place]].flipped == (1,)
    assert not (found == rows[:, None]).any(), "no picture is near itself"


def test_progress_goes_to_the_end_and_one_picture_has_no_copy(pictures):
    told = []
    assert list(altered_copies(pictures[:1], np.ones(1))) == []
    list(altered_copies(pictures, np.ones(6), told.append))
    assert told == sorted(told)
    assert told[-1] >= 1


@pytest.mark.parametrize(
    ("places", "alone"),
    [
        ([0, 1, 2, 3], []),  # a stack of slices
        ([0, 1, 2, 40], []),  # its end
        ([0, 1, 40, 41], [(0, 1), (2, 3)]),
        ([0, 2, 40, 80], []),  # far from all others, but not close
        ([0, 0.6, 1.6, 2.6], [(0, 1)]),  # a copy among slices
    ],
)
def test_a_pair_stands_alone_if_both_are_far_from_all_others(places, alone):
    """What is left unexplained grows with the square of the distance between slices."""
    i, j = np.triu_indices(4, 1)
    rest = np.minimum(0.008 * (np.asarray(places)[i] - np.asarray(places)[j]) ** 2, 1)
    compared = Altered(
        i, j, np.zeros(6, int), identities(6), 1 - rest, *np.ones((3, 6)) * [[0], [1], [1]]
    )
    found = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    accepted = _stands_alone(compared, found)
    assert list(zip(i[accepted], j[accepted], strict=True)) == alone


@pytest.mark.parametrize(
    ("move", "name"),
    [
        (affine(3, 1, 0), "turned by 3.0°"),
        (affine(0, 1.1, 0), "magnified by 1.10"),
        (affine(0, 1, -0.05), "shifted by 5 %"),
        (affine(0, 1, 0), "sharpened, blurred, marked, or intensities changed"),
    ],
)
def test_what_was_done_has_a_name(move, name):
    assert named(move) == name


def test_altered_copies_of_random_pictures_are_found(heads, workspace):
    for kind in ("unsharp mask 150 %", "blurred, σ 2", "turned by 3°", "marked in a corner"):
        found = score(heads[:6], ALTERED[kind], workspace)
        assert found == {"images": 6, "recall": 1.0, "false pairs": 0}, kind


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unsharp mask 150 %", "turned by 3°"])
def test_altered_slices_do_not_pair_with_their_neighbours(kind, workspace):
    assert false_among_neighbours(average_head()[-80:-50], ALTERED[kind], workspace) == 0
