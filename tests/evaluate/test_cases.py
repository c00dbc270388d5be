"""Scores of label maps: closed forms, brute force, conventions, and MONAI where it is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from mritk import Segmentation
from mritk.errors import DataError
from mritk.evaluate.cases import case_scores, dice, hd95
from mritk.evaluate.metrics import find_metric, metrics_of
from mritk.evaluate.resamples import Resamples

TASK = Segmentation(
    ("background", "core", "oedema"), {"whole": ("core", "oedema"), "core": ("core",)}
)


def ball(centre, radius, shape=(16, 18, 20)):
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return np.square(grid - np.asarray(centre)).sum(axis=-1) <= radius**2


def test_dice_of_two_boxes_is_twice_what_they_share_over_their_sizes():
    one, other = np.zeros((2, 6, 6, 6), dtype=bool)
    one[:2], other[1:4] = True, True
    assert dice(one, other, (1, 1, 1)) == pytest.approx(2 * 36 / (72 + 108))


def surface(region):
    """The voxels of a region with a face neighbour outside, one by one."""
    padded = np.pad(region, 1)
    found = []
    for at in np.argwhere(region):
        for axis in range(region.ndim):
            for step in (-1, 1):
                near = at + 1
                near[axis] += step
                if not padded[tuple(near)]:
                    found.append(tuple(at))
    return np.asarray(sorted(set(found)), dtype=float)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.5, 1.2)])
def test_the_hausdorff_distance_is_that_of_brute_force(spacing):
    one, other = ball((7, 8, 9), 4), ball((8, 10, 9), 5) | ball((2, 2, 2), 1)
    a, b = surface(one) * spacing, surface(other) * spacing
    apart = np.sqrt(np.square(a[:, None] - b[None]).sum(axis=-1))
    directed = [np.percentile(apart.min(axis=axis), 95) for axis in (0, 1)]
    assert hd95(one, other, spacing) == pytest.approx(max(directed))
    assert hd95(other, one, spacing) == pytest.approx(max(directed))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_distance_of_a_single_slice_is_that_of_its_outlines(axis):
    """Across the slice all of it would lie at the surface."""
    task = Segmentation(("background", "x"))
    one, other = ball((20, 20), 9, (40, 48)), ball((24, 21), 12, (40, 48))
    outlines = [region & ~ndimage.binary_erosion(region) for region in (one, other)]
    to = [ndimage.distance_transform_edt(~outline, sampling=(2.0, 0.5)) for outline in outlines]
    expected = max(np.percentile(to[a][outlines[b]], 95) for a, b in ((0, 1), (1, 0)))
    slices = [np.expand_dims(region.astype(np.uint8), axis) for region in (one, other)]
    found = case_scores(task, *slices, np.insert([2.0, 0.5], axis, 7.0))
    np.testing.assert_array_equal(found, [dice(one, other, ()), expected])
    np.testing.assert_array_equal(case_scores(task, one * 1, other * 1, (2.0, 0.5)), found)


def test_label_maps_of_one_voxel_have_scores():
    voxel = np.ones((1, 1, 1), np.uint8)
    found = case_scores(Segmentation(("background", "x")), voxel, voxel, (1.0, 2.0, 3.0))
    np.testing.assert_array_equal(found, [1.0, 0.0])


def test_a_shift_of_three_voxels_of_two_millimetres_is_six_millimetres():
    one = np.zeros((12, 5, 5), dtype=bool)
    one[2:4] = True
    assert hd95(one, np.roll(one, 3, axis=0), (2.0, 1.0, 1.0)) == pytest.approx(6)
    assert hd95(one, one, (2.0, 1.0, 1.0)) == 0


@pytest.mark.slow  # the import of MONAI takes seconds
def test_scores_are_those_of_monai():
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    one, other = ball((7, 8, 9), 4), ball((8, 10, 9), 5)
    pair = [torch.from_numpy(region)[None, None].float() for region in (one, other)]
    assert dice(one, other, (1, 1, 1)) == pytest.approx(float(metrics.compute_dice(*pair)))
    expected = metrics.compute_hausdorff_distance(*pair, percentile=95, spacing=[3, 1, 2])
    assert hd95(one, other, (3, 1, 2)) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("predicted", "reference", "of_dice", "of_distance"),
    [(0, 0, math.nan, math.nan), (1, 0, 0.0, math.nan), (0, 1, 0.0, math.nan), (1, 1, 1.0, 0.0)],
)
def test_what_is_absent_follows_the_stated_convention(predicted, reference, of_dice, of_distance):
    one, other = (np.full((3, 3, 3), value, dtype=bool) for value in (predicted, reference))
    found = dice(one, other, (1, 1, 1)), hd95(one, other, (1, 1, 1))
    np.testing.assert_equal(found, (of_dice, of_distance))


def test_regions_are_unions_of_labels():
    predicted, reference = np.zeros((2, 4, 4, 4), dtype=np.uint8)
    predicted[0], reference[0] = 2, 1
    found = dict(zip(TASK.columns, case_scores(TASK, predicted, reference), strict=True))
    assert found["dice[whole]"] == 1
    assert found["dice[core]"] == 0
    assert found["hd95[whole]"] == 0


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (np.zeros((2, 2, 3), np.uint8), "has shape .* its reference"),
        (np.full((2, 2, 2), 3, np.uint8), "whole numbers 0 to 2, the labels background, core"),
        (np.full((2, 2, 2), -1), "got int64 from -1 to -1"),
        (np.zeros((2, 2, 2), np.float32), "got float32"),
    ],
)
def test_what_is_no_label_map_is_refused(predicted, message):
    with pytest.raises(DataError, match=message):
        case_scores(TASK, predicted, np.zeros((2, 2, 2), np.uint8))


class TestMetrics:
    scores = np.asarray([[0.8, 0.5, 3.0, 9.0], [0.6, np.nan, 5.0, np.nan], [1.0, 0.9, 0.0, 1.0]])

    def test_a_metric_is_the_mean_over_cases_of_each_region_and_then_over_regions(self):
        target = np.zeros(3)
        found = {m.name: m.compute(target, self.scores).value for m in metrics_of(TASK)}
        assert found == pytest.approx(
            {
                "dice": (0.8 + 0.7) / 2,
                "hd95": (8 / 3 + 5) / 2,
                "dice[whole]": 0.8,
                "dice[core]": 0.7,
                "hd95[whole]": 8 / 3,
                "hd95[core]": 5,
            }
        )

    def test_resamples_weight_cases_and_leave_out_what_is_undefined(self):
        weights = np.asarray([[2.0, 1, 0], [0, 3, 0]])
        samples = Resamples(np.zeros(3), self.scores, np.arange(3), weights)
        core = find_metric("dice[core]", TASK).resample(samples)
        np.testing.assert_allclose(core, [0.5, np.nan])
        whole = find_metric("dice[whole]", TASK).resample(samples)
        np.testing.assert_allclose(whole, [(1.6 + 0.6) / 3, 0.6])

    @pytest.mark.parametrize(("name", "where"), [("dice", "either"), ("hd95", "both")])
    def test_without_any_case_a_metric_says_why(self, name, where):
        value = find_metric(name).compute(np.zeros(1), np.full((1, 4), np.nan))
        assert f"no case has the region in {where} label map" in value.reason

    def test_one_region_needs_no_metrics_of_its_own(self):
        names = [m.name for m in metrics_of(Segmentation(("background", "tumour")))]
        assert names == ["dice", "hd95"]
