"""Artefacts of volumes: those of images, by the same functions; boxes and patches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mritk_augment import dufumier2021 as policy
from mritk_augment.affine import compose
from mritk_augment.anisotropy import anisotropy, keep_central_lines
from mritk_augment.bias_field import bias_field, polynomial
from mritk_augment.blur import blur, blurred
from mritk_augment.crop import crop
from mritk_augment.dufumier2021 import dufumier2021
from mritk_augment.ghosting import ghosting, modulate
from mritk_augment.motion import interrupt, motion
from mritk_augment.pose import posed, rotations
from mritk_augment.spike import spike, stripes
from mritk_augment.swap import permutations, swap

DEPTH = 5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def one(*values):
    return torch.tensor([float(value) for value in values])


@pytest.fixture
def slices():
    """Two images (2, 1, 12, 16), and volumes whose slices they all are."""
    images = torch.rand(2, 1, 12, 16, generator=seeded())
    return images, images.unsqueeze(2).repeat(1, 1, DEPTH, 1, 1)


def in_each_slice(images):
    return images.unsqueeze(2).expand(-1, -1, DEPTH, -1, -1)


# -- one implementation for both ranks -------------------------------------------------------------


def test_ghosts_of_a_volume_are_those_of_its_slices(slices):
    images, volumes = slices
    drawn = (one(0.3, 0.5), one(0.25, 0.4), one(1, 2))
    torch.testing.assert_close(
        modulate(volumes, *drawn), in_each_slice(modulate(images, *drawn)), atol=1e-6, rtol=0
    )


def test_lower_resolution_of_a_volume_is_that_of_its_slices(slices):
    images, volumes = slices
    torch.testing.assert_close(
        keep_central_lines(volumes, one(2, 3)),
        in_each_slice(keep_central_lines(images, one(2, 3))),
        atol=1e-6,
        rtol=0,
    )


def test_stripes_within_slices_are_those_of_images(slices):
    images, volumes = slices
    found = stripes(volumes, one(0.1, 0.2), [one(3, 2), one(1, 4), one(0, 0)], one(0, 1))
    expected = stripes(images, one(0.1, 0.2), [one(3, 2), one(1, 4)], one(0, 1))
    torch.testing.assert_close(found, in_each_slice(expected), atol=1e-6, rtol=0)


def test_a_bias_field_without_depth_is_that_of_images(slices):
    images, volumes = slices
    flat = torch.rand(2, 4, 4, generator=seeded()) - 0.5
    deep = torch.zeros(2, 4, 4, 4)
    deep[:, 0] = flat
    found, expected = polynomial(deep, volumes), polynomial(flat, images)
    torch.testing.assert_close(found.expand_as(volumes), in_each_slice(expected))


def test_motion_within_the_slice_is_that_of_images(slices):
    images, volumes = slices
    angles, still, x = one(0.1, -0.2, 0.3, 0.05), torch.zeros(4), one(0.02, 0.0, -0.03, 0.01)
    times = torch.tensor([[0.1, 0.2], [0.05, 0.3]])
    flat = compose(angle=angles, shear=still, zoom=still + 1, shift_x=2 * x, shift_y=still)
    deep = posed(rotations(still, still, angles), x, still, still)
    torch.testing.assert_close(
        interrupt(volumes, deep.reshape(2, 2, 3, 4), times),
        in_each_slice(interrupt(images, flat.reshape(2, 2, 2, 3), times)),
        atol=1e-5,
        rtol=0,
    )


# -- what only volumes have ------------------------------------------------------------------------


@pytest.mark.parametrize("artefact", [ghosting, anisotropy, motion])
def test_lines_run_along_each_of_the_three_axes(artefact):
    """What changes varies along the phase-encode axis of a volume that varies along all."""
    volumes = torch.rand(1, 1, 8, 8, 8, generator=seeded()).repeat(60, 1, 1, 1, 1)
    options = {"factor": (4.0, 4.0)} if artefact is anisotropy else {}
    if artefact is motion:
        options = {"rotation": 0.0, "shift": 0.0}
        assert torch.allclose(motion(volumes, seeded(), **options), volumes, atol=1e-6)
        return
    changed = artefact(volumes, seeded(), **options) - volumes
    kept = torch.stack(
        [changed.mean(dim=axis).abs().amax(dim=(1, 2, 3)) < 0.02 for axis in (2, 3, 4)], dim=1
    )
    # The mean along the axis of the lines is what neither artefact changes, but for cut values.
    assert (kept.sum(dim=0) > 5).all()


def test_a_spike_is_one_point_of_k_space_and_its_mirror():
    volume = torch.full((1, 1, 8, 12, 10), 0.5)
    wave = torch.fft.fftn(spike(volume, seeded(3)) - volume, dim=(2, 3, 4)).abs()[0, 0]
    assert int((wave > 0.5 * wave.max()).sum()) == 2
    assert int((wave > 1e-2 * wave.max()).sum()) == 2


def test_a_bias_field_is_smooth_and_keeps_the_brightest_voxel():
    volume = torch.rand(2, 1, 9, 10, 11, generator=seeded()) * 0.5 + 0.3
    ratio = (bias_field(volume, seeded()) / volume).log()
    for axis in (2, 3, 4):
        # Differences of the fourth order of a cubic are zero.
        assert ratio.diff(4, dim=axis).abs().max() < 1e-4
    brightest = bias_field(volume, seeded()).amax(dim=(1, 2, 3, 4))
    torch.testing.assert_close(brightest, volume.amax(dim=(1, 2, 3, 4)))


@pytest.mark.parametrize("shape", [(2, 2, 12, 15), (2, 1, 9, 10, 12)])
def test_blur_is_scipys_gaussian_filter_with_a_width_for_each_image(shape):
    images = torch.rand(shape, generator=seeded())
    found = blurred(images, one(1.0, 0.5), 4)
    for image, blurry, sigma in zip(images, found, (1.0, 0.5), strict=True):
        for channel, other in zip(image, blurry, strict=True):
            expected = ndimage.gaussian_filter(channel.numpy(), sigma, mode="nearest", radius=4)
            np.testing.assert_allclose(other.numpy(), expected, atol=1e-6)
    assert not torch.equal(blur(images, seeded()), images)


@pytest.mark.parametrize("shape", [(20, 1, 16, 24), (20, 1, 8, 16, 24)])
def test_a_crop_is_a_box_within_the_image_stretched(shape):
    """Of a ramp, a steeper picture of a part: its slope is the share of the box."""
    ramp = torch.linspace(0.1, 0.9, shape[-1]).expand(shape)
    found = crop(ramp, seeded(), share=(0.5, 0.5))
    steps = found.diff(dim=-1)
    full = float(ramp.diff(dim=-1).mean())
    inside = steps[..., shape[-1] // 2]  # at edges there is half a pixel of black
    centre = tuple(side // 2 for side in shape[2:-1])
    values = inside[(slice(None), 0, *centre)]
    torch.testing.assert_close(values, torch.full_like(values, full / 2), atol=1e-5, rtol=0)
    middle = found[(slice(None), 0, *centre, shape[-1] // 2)]
    assert middle.std() > 0.05, "the box lies somewhere else in each image"
    assert torch.allclose(crop(ramp, seeded(), share=(1, 1)), ramp, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 2, 17, 24), (3, 1, 16, 17, 9), (2, 1, 3, 4, 5)])
def test_swapping_moves_grey_values_and_makes_none(shape):
    images = torch.rand(shape, generator=seeded())
    found = swap(images, seeded())
    for before, after in zip(images, found, strict=True):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)
        assert not torch.equal(before, after)


def test_swapped_patches_are_whole_and_all_channels_move_together():
    places = torch.arange(16.0).reshape(4, 4)
    image = places.repeat_interleave(3, 0).repeat_interleave(3, 1)[None, None].repeat(1, 2, 1, 1)
    found = swap(image, seeded(), swaps=3, cells=4)
    assert torch.equal(found[0, 0], found[0, 1])
    patches = found[0, 0].unfold(0, 3, 3).unfold(1, 3, 3)
    assert (patches.amax(dim=(2, 3)) == patches.amin(dim=(2, 3))).all()
    moved = (patches[..., 0, 0] != places).sum()
    assert 2 <= int(moved) <= 6
    order = permutations(50, 64, seeded(), 20)
    assert torch.equal(order.sort(dim=1).values, torch.arange(64).expand(50, 64))


def test_the_published_policy_takes_each_step_for_half_of_the_images(monkeypatch):
    taken = []

    def step(images, generator):
        taken.append(len(images))
        return images

    monkeypatch.setattr(policy, "STEPS", (step,) * 9)
    dufumier2021(torch.rand(400, 1, 4, 4, 4, generator=seeded()), seeded())
    assert len(taken) == 9
    assert all(160 < count < 240 for count in taken)
    assert math.isclose(sum(taken) / (9 * 400), 0.5, abs_tol=0.03)
