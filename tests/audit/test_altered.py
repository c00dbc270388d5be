"""Copies that were sharpened, blurred, turned, cropped or marked; each part against an oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from benchmarks.audit.planted_copies import average_head, false_among_neighbours, score
from benchmarks.audit.plants import ALTERED, OTHERS
from mritk.audit import explain
from mritk.audit.altered import LIKELY, Pictures, altered_copies, named
from mritk.audit.explain import AS_IS, ENHANCED, LOCAL, SURE, Explained, explained
from mritk.audit.nearest import coarsest
from mritk.audit.register import (
    coarse_structure,
    halved,
    identities,
    locally_normalised,
    refined,
    roughly_registered,
    warped,
)
from mritk.audit.signature import signature
from tests.audit.conftest import make_heads


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
    nearby = np.tile(move + affine(2, 0.97, 0.02) - affine(0, 1, 0), (6, 1, 1))
    maps, correlation = roughly_registered(coarsely(seen), coarsely(moving), nearby)
    maps, finer = refined(halved(seen), halved(moving), maps)
    maps, finest = refined(seen, moving, maps)
    assert min(correlation.min(), finer.min(), finest.min()) > 0.85
    assert np.abs(maps - move).max() < 0.004, "half a pixel of 128"


def coarsely(pictures) -> np.ndarray:
    """(P, 32, 32) float32, as pictures of 128 pixels are compared first."""
    return coarse_structure(halved(halved(pictures.astype(np.float32))))


def test_registration_of_strangers_stays_within_its_limits(pictures):
    small = coarsely(pictures)
    maps, correlation = roughly_registered(small[:3], small[3:], identities(3))
    assert np.abs(maps - identities(3)).max() <= 0.3 + 1e-9
    assert correlation.max() < 0.8


def test_one_picture_is_registered_with_several_as_with_each(pictures):
    small = coarsely(pictures)
    which = np.array([1, 0, 1])
    shared, alike = roughly_registered(small[:2], small[2:5], identities(3), which)
    alone, alike_alone = roughly_registered(small[which], small[2:5], identities(3))
    np.testing.assert_allclose(shared, alone, atol=1e-4)
    np.testing.assert_allclose(alike, alike_alone, atol=1e-4)


def test_a_border_that_is_left_out_is_no_part_of_what_is_compared(pictures):
    """The middle of a picture is the same whether its border is computed or not."""
    maps = np.tile(affine(3, 0.9, 0.02), (6, 1, 1))
    whole, inside = warped(pictures.astype(np.float32), maps)
    middle, within = warped(pictures.astype(np.float32), maps, 10)
    np.testing.assert_allclose(middle, whole[:, 10:-10, 10:-10], atol=1e-3)
    assert (within <= inside[:, 10:-10, 10:-10]).all()
    assert not within.all()


def test_a_head_that_is_cut_off_is_recognised_at_the_coarsest_level(heads):
    """Along the cut it is normalised otherwise than the whole head, which must not count."""
    tight = [Image.fromarray(head[12:-12, 16:-16]) for head in heads[:6]]
    cut = [Image.fromarray(ALTERED["cropped by 8 % on every side"](np.asarray(t))) for t in tight]
    whole, parts = (np.stack([np.asarray(t.resize((128, 128))) for t in s]) for s in (tight, cut))
    starts = np.tile(affine(0, 1 / 1.19, 0), (6, 1, 1))
    _, correlation = roughly_registered(coarsely(whole), coarsely(parts), starts)
    assert correlation.min() > LIKELY[0]


def test_local_normalisation_does_not_depend_on_contrast(pictures):
    one = locally_normalised(pictures.astype(np.float32), 1, 4)
    other = locally_normalised(0.3 * pictures.astype(np.float32) + 40, 1, 4)
    assert np.abs(one - other).mean() < 0.02


def detailed(pictures) -> np.ndarray:
    """(P, 3, 128, 128) float32, as signatures hold them."""
    return np.stack([signature(p, 2).detail for p in pictures]).astype(np.float32)


def rest_of(one, other) -> tuple[np.ndarray, np.ndarray]:
    found = explained(detailed(one), detailed(other), identities(len(one)))
    return found.rest / found.sharpness, found.local


@pytest.mark.parametrize(
    "kind",
    [
        *("unsharp mask 150 %", "blurred, σ 2", "equalised", "gamma 0.5"),
        *("edges enhanced (3 × 3)", "marked in a corner"),
    ],
)
def test_an_alteration_is_explained_and_another_image_is_not(pictures, kind):
    altered = [ALTERED[kind](p) for p in pictures]
    rest, local = rest_of(pictures, altered)
    assert rest.max() < SURE
    assert local.min() > LOCAL
    rest, _ = rest_of(pictures, altered[1:] + altered[:1])
    assert rest.min() > 10 * SURE


def test_what_is_finer_than_every_blur_has_a_gain_of_its_own(pictures):
    """Blurring takes the grain away, which the gains of coarser structure cannot make up for."""
    grain = np.random.default_rng(0).normal(0, 25, pictures.shape)
    grainy = np.clip(pictures + grain, 0, 255).astype("u1")
    rest, local = rest_of(grainy, [ALTERED["blurred, σ 2"](p) for p in grainy])
    assert rest.max() < SURE / 4
    assert local.min() > LOCAL


def test_a_model_that_is_sure_counts_though_another_leaves_less(pictures, monkeypatch):
    """Noise that turning has smoothed: one place disagrees, unless edges are enhanced."""

    def canned(one, other, maps, mask, kinds):
        rest, local = (0.5, 0.99) if kinds == (ENHANCED, AS_IS) else (0.4, 0.97)
        numbers = (SURE * rest, local, 1.0, 1.0)
        return Explained(maps, *(np.full(len(one), number) for number in numbers))

    monkeypatch.setattr(explain, "_explained", canned)
    found = explained(detailed(pictures), detailed(pictures), identities(6))
    assert found.sure.all()


def test_a_small_error_of_the_map_is_corrected(pictures):
    moved = np.tile(affine(0.2, 1.004, 0.002), (6, 1, 1))
    found = explained(detailed(pictures), detailed(pictures), moved)
    assert np.abs(found.maps - identities(6)).max() < 0.1 / 128, "a tenth of a pixel"
    assert (found.rest / found.sharpness).max() < SURE / 10


def test_contours_that_moved_are_not_explained(pictures):
    """What tells the next slice: no gain and no curve moves a contour."""
    y, x = np.mgrid[:128, :128].astype(float)
    wave = 1.0 * np.sin(y / 9), 1.0 * np.cos(x / 11)
    moved = [
        np.rint(ndimage.map_coordinates(p.astype(float), [y + wave[0], x + wave[1]])).astype("u1")
        for p in pictures
    ]
    rest, _ = rest_of(pictures, moved)
    assert rest.min() > 2 * SURE


@pytest.mark.parametrize("gain", [1, 0.5])
def test_a_border_that_all_share_does_not_make_them_alike(pictures, gain):
    """The border is the strongest structure, and the same in all."""
    bordered = np.pad((gain * pictures[:, 6:-6, 6:-6]).astype("u1"), ((0, 0), (6, 6), (6, 6)))
    bordered[:, [2, -3]] = bordered[:, :, [2, -3]] = 255
    rest, _ = rest_of(bordered, np.roll(bordered, 1, axis=0))
    assert rest.min() > 5 * SURE


def test_less_may_differ_where_the_content_is_small(pictures):
    """There a contour that moved by a whole slice moves by a fraction of a pixel."""
    one, other = detailed(pictures), detailed([ALTERED["blurred, σ 1"](p) for p in pictures])
    within = np.zeros((6, 128, 128), bool)
    within[:, 40:88, 40:88] = True
    found = explained(one, other, identities(6), within)
    np.testing.assert_allclose(found.covered, 48**2 / 128**2)
    assert explained(one, other, identities(6)).sure.all()
    larger = replace(found, covered=np.full(6, 0.5), rest=0.9 * SURE * found.sharpness)
    assert (replace(larger, local=np.ones(6))).sure.all()
    assert not (replace(larger, local=np.ones(6), covered=found.covered)).sure.any()


def test_content_is_the_box_and_a_margin():
    known = Pictures(np.zeros((1, 3, 128, 128), np.uint8), np.array([[[0.25, 0.5], [0.0, 1.0]]]))
    (shown,) = known.content(np.arange(1))
    rows = np.flatnonzero(shown.any(axis=1))
    assert (rows[0], rows[-1]) == (29, 66), "pixels 32 to 64, and 3 more on either side"
    assert shown[rows].all()


def test_a_lesion_is_a_place_that_is_not_explained(pictures):
    _, local = rest_of(pictures, [OTHERS["with a disc of radius 4 %"](p) for p in pictures])
    assert local.max() < 0.9


def test_progress_goes_to_the_end_and_one_picture_has_no_copy(pictures):
    told = []
    known = Pictures(detailed(pictures), np.tile([0.0, 1.0], (6, 2, 1)))
    assert list(altered_copies(known, np.arange(1))) == []
    list(altered_copies(known, np.arange(6), told.append))
    assert told == sorted(told)
    assert told[-1] >= 1


@pytest.mark.parametrize(
    ("move", "name"),
    [
        (affine(3, 1, 0), "rotated by 3.0°"),
        (affine(0, 1.1, 0), "magnified by 1.10"),
        (affine(0, 1, -0.05), "shifted by 5 %"),
        (affine(0, 1, 0), "sharpened, blurred, marked, or intensities changed"),
    ],
)
def test_what_was_done_has_a_name(move, name):
    assert named(move) == name


@pytest.mark.slow
def test_altered_copies_of_random_pictures_are_found(heads, workspace):
    for kind in ("unsharp mask 150 %", "blurred, σ 2", "turned by 3°", "marked in a corner"):
        found = score(heads[:6], ALTERED[kind], workspace)
        assert found == {"images": 6, "recall": 1.0, "false pairs": 0}, kind


def test_equalised_copies_of_dim_pictures_are_found():
    """As they are they cannot be registered; equalised both, they lie upon each other."""
    dim = [np.rint(255 * (head / head.max()) ** 3).astype(np.uint8) for head in make_heads(5, 192)]
    signatures = [signature(p, 2) for p in (*dim, *map(ALTERED["equalised"], dim))]
    shown = np.stack([each.detail for each in signatures])
    small, _ = coarsest(shown, np.arange(10))
    plain = coarse_structure(small)
    assert roughly_registered(plain[:5], plain[5:], identities(5))[1].max() < LIKELY[0]
    known = Pictures(shown, np.array([each.box for each in signatures]))
    found = sorted(pair[:2] for pair in altered_copies(known, np.arange(10)))
    assert found == [(k, k + 5) for k in range(5)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unsharp mask 150 %", "turned by 3°"])
def test_altered_slices_do_not_pair_with_their_neighbours(kind, workspace):
    assert false_among_neighbours(average_head()[-80:-50], ALTERED[kind], workspace) == 0


def test_pictures_that_have_nothing_in_common_are_given_up_at_the_coarsest_level():
    """Of noise no pair is hopeful, and nothing is left to be refined."""
    fixed, moving = np.random.default_rng(0).random((2, 5, 32, 32), dtype=np.float32)
    maps, found = roughly_registered(fixed, moving, identities(5))
    assert maps.shape == (5, 2, 3)
    assert (np.abs(found) < 0.9).all()
    assert roughly_registered(fixed[:0], moving[:0], identities(0))[0].shape == (0, 2, 3)


def filling(count) -> list[np.ndarray]:
    """Return heads of 146 pixels, 40 to 193, that fill the frame: marks in its corners lie on them,
    and are brighter."""
    middles = [head[119:-119, 119:-119] for head in make_heads(count, 384)]
    return [(40 + 0.6 * middle).astype(np.uint8) for middle in middles]


@pytest.mark.slow
def test_a_mark_over_the_head_does_not_hide_a_copy(workspace):
    """Wherever it was, mirrored or turned afterwards: nothing is left of the background here."""
    originals = filling(8)
    assert min(image.min() for image in originals) >= 40

    def turned(image):
        return np.ascontiguousarray(np.rot90(ALTERED["marked in a corner"](image)))

    def mirrored(image):
        return np.ascontiguousarray(np.fliplr(ALTERED["marked in a corner"](image)))

    for plant in (ALTERED["marked in a corner"], turned, mirrored):
        found = score(originals, plant, workspace)
        assert found["recall"] >= 0.75, "of such smooth pictures, a few are not registered"
        assert found["false pairs"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("place", [(0.12, 0.12), (0.2, 0.85), (0.97, 0.1)])
@pytest.mark.parametrize("radius", [0.02, 0.03])
def test_a_lesion_in_a_corner_is_no_mark(place, radius, monkeypatch):
    """It is as bright and lies where marks do, also where the frame cuts it, but is no stroke."""
    originals = filling(6)
    down, right = np.multiply(place, 146)
    y, x = np.mgrid[:146, :146]
    disc = np.hypot(y - down, x - right) < radius * 146
    lesions = [np.where(disc, np.uint8(250), image) for image in originals]
    pair = detailed(originals), detailed(lesions), identities(6)
    found = explained(*pair).sure
    monkeypatch.setattr(explain, "MARKED", 0.0)
    without = explained(*pair).sure
    assert without.sum() <= 2, "or there is nothing to tell"
    np.testing.assert_array_equal(found, without)


@pytest.mark.slow
def test_marked_slices_do_not_pair_with_their_neighbours(workspace):
    """Every other one is marked, and the heads fill the frame: no pair is right."""
    slices = [np.ascontiguousarray(s[38:-38, 32:-32]) for s in average_head()[-80:-68]]
    assert false_among_neighbours(slices, ALTERED["marked in a corner"], workspace) == 0
