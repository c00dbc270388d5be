"""From a sample's grid to that of a network's input, and back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mritk import DataError, Grid, UsageError, to_sample_grid
from mritk.images.sample_grid import fit_channel, fit_label_map

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(0, 256, (10, 12, 9), dtype=np.uint8)
LABELS = np.kron(RNG.integers(0, 4, (5, 4, 3)), np.ones((2, 3, 3))).astype(np.uint8)
WHOLE = (slice(None),) * 3


def test_a_side_stretches_a_volume_as_it_always_did():
    for size in (8, 14):
        factors = [size / side for side in VOLUME.shape]
        widths = [max(0.0, (1 / factor - 1) / 2) for factor in factors]
        smooth = ndimage.gaussian_filter(VOLUME.astype(np.float32), widths)
        expected = ndimage.zoom(smooth, factors, order=1, mode="nearest", grid_mode=True)
        np.testing.assert_array_equal(fit_channel(VOLUME, size, "bilinear"), np.rint(expected))


def test_sides_may_differ_per_axis():
    assert fit_channel(VOLUME, (4, 12, 20), "bilinear").shape == (4, 12, 20)
    assert fit_label_map(LABELS, (4, 12, 20)).shape == (4, 12, 20)
    assert fit_channel(VOLUME[0], (6, 30), "bicubic").shape == (6, 30)


@pytest.mark.parametrize("sides", [(6, 6, 6), (16, 16, 16), (16, 7, 9), (5, 13, 2)])
def test_crop_or_pad_keeps_the_middle_voxel_by_voxel(sides):
    """An independent statement: voxels keep their distance from the middle, to half a voxel."""
    fitted = fit_channel(VOLUME, Grid(sides, "crop_or_pad"), "bilinear")
    assert fitted.shape == sides
    for place in np.ndindex(*sides):
        there = [
            at - (new - old) // 2 if new >= old else at + (old - new) // 2
            for at, new, old in zip(place, sides, VOLUME.shape, strict=True)
        ]
        inside = all(0 <= at < side for at, side in zip(there, VOLUME.shape, strict=True))
        assert fitted[place] == (VOLUME[tuple(there)] if inside else 0)


def test_a_ball_stays_a_ball_where_voxels_are_long():
    """Slices 3 mm apart: stretched to a cube it is flat, at 1 mm it is round."""
    z, y, x = np.meshgrid(np.arange(10) * 3 - 13.5, *[np.arange(30) - 14.5] * 2, indexing="ij")
    ball = ((z**2 + y**2 + x**2 < 100) * 255).astype(np.uint8)
    grid = Grid(32, "crop_or_pad", 1.0)
    fitted = fit_channel(ball, grid, "bilinear", (3.0, 1.0, 1.0))
    extents = [np.ptp(np.flatnonzero((fitted > 127).any(axis=a))) for a in ((1, 2), (0, 2))]
    assert abs(int(extents[0]) - int(extents[1])) <= 2
    labels = fit_label_map((ball > 127).astype(np.uint8), grid, (3.0, 1.0, 1.0))
    overlap = ((fitted > 127) & (labels > 0)).sum() * 2 / ((fitted > 127).sum() + labels.sum())
    assert overlap > 0.9, "images and label maps are in step"


def test_a_spacing_that_is_unknown_is_refused():
    with pytest.raises(DataError, match=r"resampled to 1\.0 mm, but the distance of its voxels"):
        fit_channel(VOLUME, Grid(8, "crop_or_pad", 1.0), "bilinear")


@pytest.mark.parametrize(
    ("grid", "seen"),
    [
        (20, WHOLE),
        ((20, 24, 9), WHOLE),
        (Grid(16, "crop_or_pad"), WHOLE),
        (Grid((6, 20, 20), "crop_or_pad"), (slice(2, 8), *WHOLE[:2])),
        (Grid(40, "crop_or_pad", 0.5), WHOLE),
        (Grid((8, 40, 40), "crop_or_pad", (1.0, 0.5, 0.5)), (slice(1, 9), *WHOLE[:2])),
        (Grid(None, "crop_or_pad", 0.5), WHOLE),
    ],
    ids=str,
)
def test_label_maps_come_back_as_they_were(grid, seen):
    """On a grid as fine as the sample's or finer; what is cropped comes back as background."""
    spacing = (1.0, 1.0, 1.0)
    there = fit_label_map(LABELS, grid, spacing)
    back = to_sample_grid(there, LABELS.shape, grid, spacing)
    expected = np.zeros_like(LABELS)
    expected[seen] = LABELS[seen]
    np.testing.assert_array_equal(back, expected)
    assert back.dtype == np.uint8


@pytest.mark.parametrize("grid", [24, Grid(16, "crop_or_pad"), Grid(30, "crop_or_pad", 0.5)])
def test_scores_come_back_in_the_place_of_their_label(grid):
    """One-hot scores, back on the sample's grid, name the labels that they were made of."""
    smooth = np.zeros((12, 12, 12), np.uint8)
    smooth[3:9, 2:8, 4:10] = 1
    smooth[5:8, 4:7, 6:9] = 2
    spacing = (1.0, 1.0, 1.0)
    there = fit_label_map(smooth, grid, spacing)
    scores = (there[None] == np.arange(3)[:, None, None, None]).astype(np.float32)
    back = to_sample_grid(scores, smooth.shape, grid, spacing)
    assert back.shape == (3, 12, 12, 12)
    assert back.dtype == np.float32
    assert (back.argmax(0) == smooth).mean() > 0.98


def test_values_of_another_rank_are_refused():
    with pytest.raises(UsageError, match=r"give integers \(\*spatial\) or floats"):
        to_sample_grid(np.zeros((4, 4, 4), np.float32), (8, 8, 8))
    with pytest.raises(UsageError, match="do not belong to a sample"):
        to_sample_grid(np.zeros((2, 4, 4, 4), np.uint8), (8, 8, 8))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "size must be at least 1"),
        ({"size": (8, 0, 8)}, "size must be at least 1"),
        ({"size": 8, "fit": "pad"}, "fit must be one of resize, crop_or_pad"),
        ({"size": 8, "spacing": 1.0}, "spacing has no effect on samples that are resized"),
        ({"fit": "crop_or_pad", "spacing": 0.0}, "distance in mm above 0"),
        ({"fit": "crop_or_pad", "spacing": (1.0, -1.0)}, "distance in mm above 0"),
    ],
)
def test_a_grid_with_a_slip_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Grid(**fields)


def test_a_grid_for_another_number_of_axes_is_refused():
    with pytest.raises(ValueError, match=r"size \(4, 4\) is for 2 axes, not 3"):
        Grid((4, 4)).sides(3)
