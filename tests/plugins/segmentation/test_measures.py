"""What is measured on label maps: closed forms, brute force, MONAI, and what is absent."""

from __future__ import annotations

import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from mritk_segmentation.lesions import lesion_dice, lesion_f1, lesion_sensitivity, matches
from mritk_segmentation.overlap import iou
from mritk_segmentation.surface import nsd

MM = (1.0, 1.0, 1.0)


def ball(centre, radius, shape=(16, 18, 20)):
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return np.square(grid - np.asarray(centre)).sum(axis=-1) <= radius**2


ONE = ball((7, 8, 9), 4)
OTHER = ball((8, 10, 9), 5) | ball((2, 2, 2), 1)


def surface(region):
    """The voxels of a region with a face neighbour outside, one by one."""
    padded = np.pad(region, 1)
    steps = [step for step in product((-1, 0, 1), repeat=region.ndim) if np.abs(step).sum() == 1]
    return np.asarray(
        [at for at in np.argwhere(region) if not all(padded[tuple(at + 1 + s)] for s in steps)]
    )


@pytest.mark.parametrize("spacing", [MM, (3.0, 0.5, 1.2)])
@pytest.mark.parametrize("tolerance", [0.4, 1, 2.5])
def test_the_surface_distance_is_that_of_brute_force(spacing, tolerance):
    a, b = (surface(region) * spacing for region in (ONE, OTHER))
    apart = np.sqrt(np.square(a[:, None] - b[None]).sum(axis=-1))
    close = sum((apart.min(axis=axis) <= tolerance).sum() for axis in (0, 1))
    expected = close / (len(a) + len(b))
    assert 0 < expected < 1
    assert nsd(ONE, OTHER, spacing, tolerance=tolerance) == pytest.approx(expected)
    assert nsd(OTHER, ONE, spacing, tolerance=tolerance) == pytest.approx(expected)


def test_the_surface_of_a_single_slice_is_its_outline():
    one, other = ball((20, 20), 9, (40, 48)), ball((24, 21), 12, (40, 48))
    a, b = (region & ~ndimage.binary_erosion(region) for region in (one, other))
    of_b, of_a = (ndimage.distance_transform_edt(~x, sampling=(2.0, 0.5)) for x in (b, a))
    expected = ((of_b[a] <= 2).sum() + (of_a[b] <= 2).sum()) / (a.sum() + b.sum())
    found = nsd(one[None], other[None], (7.0, 2.0, 0.5), tolerance=2)
    assert found == pytest.approx(expected)
    assert nsd(one, other, (2.0, 0.5), tolerance=2) == found


def test_a_tolerance_is_in_mm():
    slab = np.zeros((12, 5, 5), dtype=bool)
    slab[2:4] = True
    moved = np.roll(slab, 1, axis=0)
    inside = nsd(slab, moved, (2.0, 1.0, 1.0), tolerance=1)
    assert inside < nsd(slab, moved, (1.0, 1.0, 1.0), tolerance=1) == 1
    assert nsd(slab, moved, (2.0, 1.0, 1.0), tolerance=2) == 1


@pytest.mark.parametrize(("voxel", "steps", "tolerance"), [(1, 1, 1), (0.4, 5, 2), (1 / 3, 3, 1)])
def test_a_distance_that_equals_the_tolerance_is_within_however_a_scan_is_turned(
    voxel, steps, tolerance
):
    """The float32 affine of a turned scan gives spacings a little above or below the true one."""
    cube = np.zeros((14, 14, 14), dtype=bool)
    cube[3:8, 3:8, 3:8] = True
    moved = np.roll(cube, steps, axis=0)
    exact = nsd(cube, moved, (voxel,) * 3, tolerance=tolerance + 1e-3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        turned = np.linalg.qr(rng.normal(size=(3, 3)))[0] * voxel
        spacing = np.linalg.norm(turned.astype(np.float32).astype(np.float64), axis=0)
        assert nsd(cube, moved, spacing, tolerance=tolerance) == exact


@pytest.mark.slow  # the import of MONAI takes seconds
@pytest.mark.parametrize("spacing", [MM, (3.0, 1.0, 2.0)])
def test_measures_are_those_of_monai(spacing):
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    pair = [torch.from_numpy(region)[None, None].float() for region in (ONE, OTHER)]
    assert iou(ONE, OTHER, spacing) == pytest.approx(float(metrics.compute_iou(*pair)))
    both = [torch.cat([1 - one, one], dim=1) for one in pair]
    for tolerance in (1, 2, 5):
        expected = metrics.compute_surface_dice(
            *both, class_thresholds=[float(tolerance)], spacing=list(spacing)
        )
        found = nsd(ONE, OTHER, spacing, tolerance=tolerance)
        assert found == pytest.approx(float(expected))


@pytest.mark.slow
def test_monai_has_the_same_conventions_for_what_is_absent():
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    empty = np.zeros_like(ONE)
    for one, other in ((ONE, empty), (empty, ONE), (empty, empty)):
        both = [
            torch.stack([~torch.from_numpy(region), torch.from_numpy(region)])[None].float()
            for region in (one, other)
        ]
        with pytest.warns(UserWarning, match="all 0"):
            expected = float(metrics.compute_surface_dice(*both, class_thresholds=[1.0]))
        np.testing.assert_equal(nsd(one, other, MM, tolerance=1), expected)


def grown(region):
    """The components of a region, by growing each from a voxel; corners connect."""
    left, found = {tuple(at) for at in np.argwhere(region)}, []
    while left:
        front = [left.pop()]
        whole = set(front)
        while front:
            at = front.pop()
            for step in product((-1, 0, 1), repeat=region.ndim):
                near = tuple(np.add(at, step))
                if near in left:
                    left.remove(near)
                    whole.add(near)
                    front.append(near)
        found.append(whole)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_lesions_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    shape = (9, 10, 8) if seed % 2 else (16, 18)
    predicted, reference = (rng.random(shape) < 0.06 for _ in range(2))
    predicted |= np.roll(reference, 1, axis=0) & (rng.random(shape) < 0.5)
    given, true = grown(predicted), grown(reference)
    scores, hits = [], 0
    for lesion in true:
        touching = set().union(*(one for one in given if one & lesion))
        hits += bool(touching)
        scores.append(2 * len(lesion & touching) / (len(lesion) + len(touching)))
    invented = sum(all(not one & lesion for lesion in true) for one in given)
    assert hits
    assert invented
    assert lesion_dice(predicted, reference, MM) == pytest.approx(
        sum(scores) / (len(true) + invented)
    )
    assert lesion_f1(predicted, reference, MM) == pytest.approx(
        2 * hits / (hits + len(true) + invented)
    )
    assert lesion_sensitivity(predicted, reference, MM) == pytest.approx(hits / len(true))


def test_thousands_of_specks_take_little_memory():
    """As a network predicts early in its training; a table of all pairs would take 512 MB."""
    specks = np.zeros((40, 40, 40), dtype=bool)
    specks[::2, ::2, ::2] = True
    tracemalloc.start()
    try:
        found = matches(specks, np.roll(specks, 2, axis=0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.dice, found.invented) == ((1.0,) * 8000, 0)
    assert peak < 20e6


def test_a_large_lesion_does_not_hide_small_ones():
    reference = ball((7, 8, 9), 5) | ball((1, 1, 1), 1) | ball((1, 16, 18), 1)
    predicted = ball((7, 8, 9), 5)
    assert iou(predicted, reference, MM) > 0.95
    assert lesion_dice(predicted, reference, MM) == pytest.approx(1 / 3)
    assert lesion_sensitivity(predicted, reference, MM) == pytest.approx(1 / 3)
    assert lesion_f1(predicted, reference, MM) == pytest.approx(2 / 4)


@pytest.mark.parametrize(
    ("measure", "neither", "missed", "invented"),
    [
        (iou, math.nan, 0.0, 0.0),
        (lambda *case: nsd(*case, tolerance=1), math.nan, 0.0, 0.0),
        (lesion_dice, math.nan, 0.0, 0.0),
        (lesion_f1, math.nan, 0.0, 0.0),
        (lesion_sensitivity, math.nan, 0.0, math.nan),
    ],
    ids=["iou", "nsd", "lesion_dice", "lesion_f1", "lesion_sensitivity"],
)
def test_what_is_absent_follows_the_stated_convention(measure, neither, missed, invented):
    some, none = ONE, np.zeros_like(ONE)
    np.testing.assert_equal(measure(none, none, MM), neither)
    np.testing.assert_equal(measure(none, some, MM), missed)
    np.testing.assert_equal(measure(some, none, MM), invented)
    assert measure(some, some, MM) == 1
