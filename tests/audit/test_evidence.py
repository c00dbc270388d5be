"""The parts that decide whether two pictures show the same image, each against an oracle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mritk.audit.align import LIMIT, aligned
from mritk.audit.evidence import (
    LOCAL_WHOLE,
    SAME_WHOLE,
    agreement,
    compare,
    with_intensities_of,
)
from mritk.audit.filters import band_passed, correlation
from mritk.audit.symmetry import symmetries


@pytest.fixture
def pictures():
    noise = np.random.default_rng(0).normal(size=(6, 64, 64))
    smooth = ndimage.gaussian_filter(noise, (0, 2.5, 2.5))
    return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.float32)


@pytest.mark.parametrize("widths", [(0.7, 2.0), (1.3, 8.0)])
@pytest.mark.parametrize("side", [(32,) * 2, (64,) * 2, (100,) * 2, (128,) * 2, (24,) * 3])
def test_the_band_pass_is_scipys_difference_of_gaussians(side, widths):
    grids = np.random.default_rng(0).random((2, *side)).astype(np.float32)
    found = band_passed(grids, *widths)
    for grid, filtered in zip(grids, found, strict=True):
        narrow, wide = (ndimage.gaussian_filter(grid, s, mode="nearest") for s in widths)
        np.testing.assert_allclose(filtered, narrow - wide, atol=1e-5)


def test_correlation_is_numpys(pictures):
    found = correlation(pictures[:3], pictures[3:])
    for value, one, other in zip(found, pictures[:3], pictures[3:], strict=True):
        assert value == pytest.approx(np.corrcoef(one.ravel(), other.ravel())[0, 1], abs=1e-4)


def test_a_picture_without_structure_correlates_with_nothing(pictures):
    flat = np.full_like(pictures, 3)
    assert not correlation(flat, pictures).any()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 0.4 * x + 50,
        lambda x: 255 * (x / 255) ** 1.7,
        lambda x: np.clip(1.6 * x - 40, 0, 255),
    ],
    ids=["linear", "gamma", "clipped"],
)
def test_intensity_curves_are_undone(pictures, change):
    changed = change(pictures)
    mapped = with_intensities_of(pictures, changed)
    assert np.abs(mapped - changed).mean() < 0.02 * np.ptp(changed)
    found = agreement(pictures, changed)
    assert found.similarity.min() > SAME_WHOLE
    assert found.discrepancy.max() < LOCAL_WHOLE


def test_similarity_does_not_depend_on_the_order(pictures):
    clipped = np.clip(2 * pictures - 60, 0, 255)
    forth, back = agreement(pictures, clipped), agreement(clipped, pictures)
    np.testing.assert_allclose(forth.similarity, back.similarity, atol=1e-5)
    np.testing.assert_allclose(forth.discrepancy, back.discrepancy, atol=1e-4)


def test_different_pictures_are_not_similar(pictures):
    found = agreement(pictures[:3], pictures[3:])
    assert np.abs(found.similarity).max() < 0.5
    assert np.isinf(found.discrepancy).all()


def test_a_small_shift_is_not_the_same(pictures):
    """What tells neighbouring slices: every contour has moved a little."""
    moved = np.stack([ndimage.shift(p, (0.5, 0.3), mode="nearest") for p in pictures])
    assert agreement(pictures, moved).similarity.max() < SAME_WHOLE


def test_a_lesion_is_a_local_disagreement(pictures):
    """It changes little in all and much in one place."""
    y, x = np.mgrid[:64, :64]
    lesion = 60 * np.exp(-((y - 30) ** 2 + (x - 22) ** 2) / (2 * 2.0**2))
    found = agreement(pictures, pictures + lesion.astype(np.float32))
    assert found.similarity.min() > 0.97
    assert found.discrepancy.min() > 2 * LOCAL_WHOLE
    assert agreement(pictures, pictures).discrepancy.max() < 1e-3


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (0.5, 100), (2, -128)])
def test_alignment_recovers_shift_and_scale(pictures, gain, offset):
    zoom, shift = 0.97, 0.8
    centre = 31.5
    moved = np.stack(
        [
            ndimage.affine_transform(
                p, np.diag([zoom, zoom]), centre - zoom * centre + shift, order=3, mode="nearest"
            )
            for p in pictures
        ]
    )
    moved = (gain * moved + offset).astype(np.float32)
    inside = (slice(None), slice(6, -6), slice(6, -6))
    before = correlation(pictures[inside], moved[inside])
    after = correlation(pictures[inside], aligned(pictures, moved)[inside])
    assert before.max() < 0.95
    assert after.min() > 0.999


def test_alignment_works_in_three_dimensions():
    noise = np.random.default_rng(0).normal(size=(2, 24, 24, 24))
    volumes = ndimage.gaussian_filter(noise, (0, 2, 2, 2)).astype(np.float32)
    volumes *= 100 / volumes.std()
    moved = np.stack([ndimage.shift(v, (0.6, -0.4, 0.3), order=3, mode="nearest") for v in volumes])
    inside = (slice(None), *[slice(4, -4)] * 3)
    assert correlation(volumes[inside], aligned(volumes, moved)[inside]).min() > 0.995


def test_alignment_does_not_bring_strangers_together(pictures):
    assert correlation(pictures[:3], aligned(pictures[:3], pictures[3:])).max() < 0.5
    assert LIMIT < 0.1


def test_compare_lays_each_pair_upon_each_other_as_it_is_told(pictures):
    turns = symmetries(2)
    whole = np.concatenate([pictures, [t.apply(pictures[0]) for t in turns]]).astype(np.uint8)
    number = np.arange(len(turns))
    first = np.zeros(len(turns), int)
    inverse = np.asarray([turns.index(turn.inverse) for turn in turns])
    right = compare(whole, first, 6 + number, inverse, align=False)
    wrong = compare(whole, first, 6 + number, np.roll(inverse, 1), align=False)
    assert right.similarity.min() > 0.999
    assert wrong.similarity.max() < 0.5
