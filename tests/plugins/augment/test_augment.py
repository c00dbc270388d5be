"""Augmentations: functions of a batch and a generator, and of nothing else."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from mritk_augment import mritk_augmentations
from mritk_augment.affine import AffineRanges, affine, compose, resample
from mritk_augment.flip import flip

RECORDS = {record.name: record for record in mritk_augmentations()}
ALL = [name for name, record in RECORDS.items() if record.apply is not None]
NO_RANGES = AffineRanges(0, 0, 0, 0, 0, 0)


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def one_matrix(*, angle=0.0, shear=0.0, zoom=1.0, shift_x=0.0, shift_y=0.0):
    values = {"angle": angle, "shear": shear, "zoom": zoom, "shift_x": shift_x, "shift_y": shift_y}
    return compose(**{name: torch.tensor([float(value)]) for name, value in values.items()})


def only(**ranges):
    return AffineRanges(**{**vars(NO_RANGES), **ranges})


# -- what every augmentation keeps -------------------------------------------------------------

SHAPES = {2: [(4, 1, 16, 16), (4, 3, 16, 16), (3, 1, 12, 20), (1, 1, 8, 8)], 3: [(4, 1, 6, 7, 8)]}
CASES = [
    (record.apply, shape)
    for record in RECORDS.values()
    if record.apply is not None
    for dims in record.spatial_dims
    for shape in SHAPES[dims]
]


@pytest.mark.parametrize(("apply", "shape"), CASES)
def test_shape_dtype_and_range_are_kept(apply, shape):
    batch = images(*shape)
    for seed in range(5):
        moved = apply(batch, seeded(seed))
        assert moved.shape == batch.shape
        assert moved.dtype == batch.dtype
        assert moved.device == batch.device
        assert 0 <= float(moved.min()) <= float(moved.max()) <= 1


@pytest.mark.parametrize(("apply", "shape"), CASES)
def test_the_result_is_a_function_of_batch_and_generator_alone(apply, shape):
    batch = images(*shape)
    before = batch.clone()
    torch.manual_seed(1)
    first = apply(batch, seeded(7))
    state = torch.get_rng_state()
    second = apply(batch, seeded(7))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state), "the global generator was used"
    assert torch.equal(batch, before), "the batch was changed in place"


@pytest.mark.parametrize("name", ALL)
def test_other_generators_give_other_results(name):
    batch = images(8, 1, 16, 16)
    one, other = (RECORDS[name].apply(batch, seeded(seed)) for seed in (0, 1))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ["flip", "affine"])
def test_each_image_of_a_batch_gets_draws_of_its_own(name):
    batch = images(1, 1, 16, 16).repeat(32, 1, 1, 1)
    moved = RECORDS[name].apply(batch, seeded())
    distinct = {tuple(image.flatten().tolist()) for image in moved}
    assert len(distinct) == (2 if name == "flip" else 32)


@pytest.mark.parametrize("name", ALL)
def test_the_channels_of_one_image_are_changed_together(name):
    batch = images(24, 1, 16, 16).repeat(1, 3, 1, 1)
    moved = RECORDS[name].apply(batch, seeded())
    # The luma weights that mix with grey add up to 0.9999.
    tolerance = {"atol": 2e-4 if "augment" in name else 0, "rtol": 0}
    torch.testing.assert_close(moved[:, 0], moved[:, 1], **tolerance)
    torch.testing.assert_close(moved[:, 0], moved[:, 2], **tolerance)


@pytest.mark.parametrize(("apply", "shape"), CASES)
def test_an_image_does_not_see_the_others_of_its_batch(apply, shape):
    batch = images(*shape)
    other = 1 - batch.flip(0)
    other[0] = batch[0]
    for seed in range(8):
        torch.testing.assert_close(
            apply(batch, seeded(seed))[0], apply(other, seeded(seed))[0], atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("name", ALL)
def test_black_and_white_images_give_numbers_in_range(name, value):
    batch = torch.full((32, 1, 12, 16), value)
    for seed in range(5):
        moved = RECORDS[name].apply(batch, seeded(seed))
        assert bool(((moved >= 0) & (moved <= 1)).all())  # also False for NaN


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", [name for name in ALL if name != "affine"])
def test_other_precisions_are_kept_and_give_nearly_the_same(name, dtype):
    batch = images(24, 1, 16, 16).bfloat16().float()  # exact in all of them
    moved = RECORDS[name].apply(batch.to(dtype), seeded())
    assert moved.dtype == dtype
    expected = RECORDS[name].apply(batch, seeded())
    torch.testing.assert_close(moved.float(), expected, atol=5e-3, rtol=0)


def test_listing_the_names_loads_no_torch():
    command = (
        "import sys, mritk_augment as plugin; "
        "assert len([record.summary for record in plugin.mritk_augmentations()]) == 16; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", command], check=True)


def test_all_but_the_policies_of_photographs_serve_volumes_too():
    for name in ALL:
        images_alone = name in ("rand_augment", "trivial_augment")
        assert RECORDS[name].spatial_dims == ((2,) if images_alone else (2, 3)), name


def test_double_precision_is_kept():
    batch = images(2, 1, 8, 8).double()
    assert affine(batch, seeded(), AffineRanges()).dtype == torch.float64


# -- flip --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 1, 5, 6), (16, 3, 5, 7), (16, 1, 4, 5, 6)])
def test_flip_is_its_own_inverse_bit_for_bit(shape):
    batch = images(*shape)
    assert torch.equal(flip(flip(batch, seeded(3)), seeded(3)), batch)


def test_flip_mirrors_some_images_along_the_last_axis_and_leaves_the_others():
    batch = images(200, 1, 4, 6)
    moved = flip(batch, seeded())
    mirrored = (moved == batch.flip(-1)).flatten(1).all(1)
    kept = (moved == batch).flatten(1).all(1)
    assert bool((mirrored ^ kept).all())
    assert 70 < int(mirrored.sum()) < 130


# -- affine: geometry --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(3, 1, 16, 16), (3, 3, 9, 9), (3, 1, 12, 20), (3, 1, 6, 9, 8), (2, 4, 7, 7, 7)]
)
def test_ranges_of_zero_are_the_identity(shape):
    batch = images(*shape)
    torch.testing.assert_close(affine(batch, seeded(), NO_RANGES), batch, atol=1e-5, rtol=0)


MATRICES = {
    "identity": {},
    "rotation": {"angle": math.radians(30)},
    "shear": {"shear": 0.3},
    "zoom in": {"zoom": 1.5},
    "zoom out": {"zoom": 0.6},
    "shift": {"shift_x": 0.3, "shift_y": -0.2},
    "all": {"angle": -0.4, "shear": 0.1, "zoom": 1.2, "shift_x": 0.1, "shift_y": 0.2},
}


@pytest.mark.parametrize("case", MATRICES)
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (1, 3, 12, 20)])
def test_resampling_equals_torchs_affine_grid_and_grid_sample(case, shape):
    batch, matrix = images(*shape), one_matrix(**MATRICES[case])
    grid = functional.affine_grid(matrix, list(shape), align_corners=False)
    expected = functional.grid_sample(batch, grid, align_corners=False)
    torch.testing.assert_close(resample(batch, matrix), expected, atol=1e-5, rtol=1e-5)


def scipy_affine(image, linear, shift):
    """Sample at ``linear @ (x, y) + shift`` in pixels from the centre, black outside."""
    height, width = image.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    swapped = np.asarray(linear)[::-1, ::-1]  # scipy counts rows first
    offset = centre - swapped @ centre + np.asarray(shift)[::-1]
    # A border of black pixels, so that both interpolate between the edge and the outside.
    padded = np.pad(image, 1)
    offset = offset + 1 - swapped @ np.ones(2)
    moved = ndimage.affine_transform(padded, swapped, offset, order=1, mode="constant")
    return moved[1:-1, 1:-1]


@pytest.mark.parametrize("case", MATRICES)
def test_square_images_are_moved_as_scipy_moves_them(case):
    batch = images(1, 1, 16, 16)
    matrix = one_matrix(**MATRICES[case])
    expected = scipy_affine(batch[0, 0].numpy(), matrix[0, :, :2], 8 * matrix[0, :, 2].numpy())
    np.testing.assert_allclose(resample(batch, matrix)[0, 0].numpy(), expected, atol=1e-5)


def drawn_angle(seed, degrees):
    return math.radians(degrees) * float(2 * torch.rand(1, generator=seeded(seed)) - 1)


@pytest.mark.parametrize("size", [(16, 16), (12, 24), (24, 12)])
def test_a_rotation_is_rigid_on_images_of_any_shape(size):
    """Rotating in the unit square of an oblong image would shear the anatomy."""
    batch = images(1, 1, *size)
    angle = drawn_angle(3, 40)
    assert abs(angle) > 0.2
    linear = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    expected = scipy_affine(batch[0, 0].numpy(), linear, (0, 0))
    moved = affine(batch, seeded(3), only(rotation=40))
    np.testing.assert_allclose(moved[0, 0].numpy(), expected, atol=1e-5)


def test_a_shift_is_a_share_of_the_side():
    """The whole range of draws is found to lie within the stated share, and to reach it."""
    batch = torch.zeros(400, 1, 41, 41)
    batch[:, :, 20, 20] = 1
    moved = affine(batch, seeded(), only(shift=0.25))
    weights = moved[:, 0] / moved[:, 0].sum((1, 2), keepdim=True)
    positions = torch.arange(41.0) - 20
    for axis in (1, 2):
        found = (weights.sum(3 - axis) * positions).sum(1) / 41
        assert 0.23 < float(found.abs().max()) <= 0.2501


def test_zoom_magnifies():
    batch = torch.zeros(1, 1, 32, 32)
    batch[..., 12:20, 12:20] = 1
    area = float(resample(batch, one_matrix(zoom=2.0)).sum())
    assert area == pytest.approx(4 * 64, rel=0.05)


def test_black_comes_in_from_outside():
    moved = resample(torch.ones(1, 1, 8, 8), one_matrix(shift_x=1.0))
    assert float(moved[..., 5:].sum()) == 0
    assert bool((moved[..., :4] == 1).all())


def test_draws_stay_in_their_ranges_and_fill_them():
    batch = torch.zeros(500, 1, 4, 4) + 0.5
    moved = affine(batch, seeded(), only(brightness=0.2))[:, 0, 0, 0] - 0.5
    assert 0.19 < float(moved.abs().max()) <= 0.2001
    assert abs(float(moved.mean())) < 0.02


# -- affine: intensity -------------------------------------------------------------------------


def test_contrast_keeps_the_mean_and_scales_the_distance_to_it():
    batch = 0.4 + 0.2 * images(50, 1, 16, 16)
    moved = affine(batch, seeded(), only(contrast=0.5))
    torch.testing.assert_close(moved.mean((1, 2, 3)), batch.mean((1, 2, 3)), atol=1e-5, rtol=0)
    ratio = moved.std((1, 2, 3)) / batch.std((1, 2, 3))
    assert 0.49 < float(ratio.min()) < 0.6
    assert 1.4 < float(ratio.max()) < 1.501


def test_brightness_is_cut_at_black_and_white():
    moved = affine(torch.ones(20, 1, 4, 4), seeded(), only(brightness=0.5))
    assert float(moved.max()) == 1.0
    assert float(moved.min()) < 0.6
