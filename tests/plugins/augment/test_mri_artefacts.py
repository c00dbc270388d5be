"""Each artefact leaves its own signature in the image or in k-space."""

from __future__ import annotations

import math

import pytest
import torch

from mritk_augment.anisotropy import anisotropy, keep_central_lines
from mritk_augment.bias_field import bias_field, polynomial
from mritk_augment.gamma import gamma
from mritk_augment.ghosting import ghosting, modulate
from mritk_augment.groups import apply_by_group
from mritk_augment.motion import interrupt, motion
from mritk_augment.mri import mri
from mritk_augment.rician_noise import rician_noise
from mritk_augment.spike import spike, stripes

SIZES = [(64, 64), (48, 64), (45, 63)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise_images(*shape):
    return torch.rand(shape, generator=seeded())


def head(height, width, *, count=1):
    """A bright ellipse with a darker one inside, black outside."""
    y = torch.linspace(-1, 1, height).reshape(-1, 1)
    x = torch.linspace(-1, 1, width)
    radius = (x / 0.6) ** 2 + (y / 0.7) ** 2
    picture = 0.5 * torch.sigmoid((1 - radius) * 12) - 0.2 * torch.sigmoid((0.2 - radius) * 20)
    return picture.clamp(0, 1).repeat(count, 1, 1, 1)


def one(*values):
    return torch.tensor([float(value) for value in values])


NOTHING = {
    "gamma": lambda batch: gamma(batch, seeded(), log_gamma=0),
    "bias field": lambda batch: bias_field(batch, seeded(), coefficient=0),
    "rician noise": lambda batch: rician_noise(batch, seeded(), sigma=0),
    "ghosting": lambda batch: ghosting(batch, seeded(), strength=0),
    "motion": lambda batch: motion(batch, seeded(), rotation=0, shift=0),
    "spike": lambda batch: spike(batch, seeded(), strength=0),
    "anisotropy": lambda batch: anisotropy(batch, seeded(), factor=(1, 1)),
}


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("shape", [(6, 1, 32, 32), (6, 3, 20, 27), (6, 2, 9, 12, 10)])
def test_strength_zero_is_the_identity(name, shape):
    batch = noise_images(*shape)
    torch.testing.assert_close(NOTHING[name](batch), batch, atol=2e-6, rtol=0)


# -- gamma -------------------------------------------------------------------------------------


def test_gamma_keeps_black_white_and_the_order_of_grey_values():
    ramp = torch.linspace(0, 1, 101).reshape(1, 1, 1, -1).repeat(50, 1, 1, 1)
    curves = gamma(ramp, seeded())[:, 0, 0]
    assert bool((curves[:, 0] == 0).all())
    assert bool((curves[:, -1] == 1).all())
    assert bool((curves.diff(dim=1) > 0).all())
    powers = curves[:, 50].log() / math.log(0.5)
    assert 0.25 < float(powers.log().abs().max()) <= 0.3001
    assert float(powers.min()) < 1 < float(powers.max())


# -- bias field --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_bias_field_multiplies_and_is_the_same_for_any_image(size):
    flat = torch.full((4, 1, *size), 0.5)
    textured = 0.2 + 0.6 * noise_images(4, 1, *size)
    one_field = bias_field(flat, seeded()) / flat
    other_field = bias_field(textured, seeded()) / textured
    ratio = one_field / other_field  # they differ by one factor per image
    spread = ratio.amax((1, 2, 3)) / ratio.amin((1, 2, 3))
    torch.testing.assert_close(spread, torch.ones(4), atol=1e-4, rtol=0)
    assert float(one_field.std(dim=(1, 2, 3)).min()) > 0.01


def test_the_logarithm_of_the_field_is_a_cubic_polynomial():
    logarithm = bias_field(torch.ones(4, 1, 40, 40).double(), seeded()).log()
    assert float(logarithm.diff(n=4, dim=-1).abs().max()) < 1e-12
    assert float(logarithm.diff(n=4, dim=-2).abs().max()) < 1e-12
    assert float(logarithm.diff(n=3, dim=-1).abs().max()) > 1e-7


def test_polynomials_are_summed_as_written():
    coefficients = noise_images(2, 4, 4).double()
    batch = torch.zeros(2, 1, 6, 9).double()
    x, y = (2 * torch.arange(9) + 1) / 9 - 1, ((2 * torch.arange(6) + 1) / 6 - 1).reshape(-1, 1)
    found = polynomial(coefficients, batch)
    for row in range(2):
        expected = sum(
            coefficients[row, j, i] * x.double() ** i * y.double() ** j
            for j in range(4)
            for i in range(4 - j)
            if i + j > 0
        )
        torch.testing.assert_close(found[row, 0], expected)


def test_the_bias_field_keeps_the_brightest_value_and_cuts_nothing():
    batch = noise_images(8, 1, 32, 32) * 0.7
    shaded = bias_field(batch, seeded())
    torch.testing.assert_close(shaded.amax((1, 2, 3)), batch.amax((1, 2, 3)))
    assert bool(((shaded == shaded.amax((1, 2, 3), keepdim=True)).sum((1, 2, 3)) == 1).all())


# -- ghosts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeat", [2, 4, 8])
@pytest.mark.parametrize("phase", [0.0, 1.0, math.pi])
def test_ghosts_lie_a_share_of_the_field_of_view_above_and_below(repeat, phase):
    """The oracle is in the image: two shifted copies, each of half the depth, with their phases.

    The central line stays, so that they are copies of what differs from the mean along the axis.
    """
    image = head(64, 48)
    found = modulate(image, one(0.4), one(1 / repeat), one(phase))
    turn = complex(math.cos(phase), math.sin(phase))
    away = 64 // repeat
    copies = turn * image.roll(-away, dims=-2) + turn.conjugate() * image.roll(away, dims=-2)
    copies = copies - 2 * math.cos(phase) * image.mean(dim=-2, keepdim=True)
    torch.testing.assert_close(found, (image + 0.2 * copies).abs(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("phase", [0.0, 1.0, math.pi])
def test_ghosts_leave_the_mean_as_it_is(phase):
    """A bright picture: no magnitude is folded, and the mean is the central line alone."""
    image = 0.5 + 0.1 * head(64, 48)
    found = modulate(image, one(0.4), one(1 / 4), one(phase))
    complex_mean = torch.fft.fft2(found)[0, 0, 0, 0].real / (64 * 48)
    assert float(complex_mean) == pytest.approx(float(image.mean()), rel=2e-3)


def test_a_point_shows_its_ghosts_along_one_axis_alone():
    image = torch.zeros(1, 1, 60, 60)
    image[..., 30, 20] = 1
    found = modulate(image, one(0.5), one(1 / 6), one(math.pi / 2))[0, 0]
    rows, columns = (found > 0.05).nonzero(as_tuple=True)
    assert rows.tolist() == [20, 30, 40]
    assert columns.tolist() == [20, 20, 20]
    assert float(found[20, 20]) == pytest.approx(0.25, abs=1e-5)


@pytest.mark.parametrize("artefact", [ghosting, anisotropy])
def test_the_phase_encode_axis_is_either_side_of_the_image(artefact):
    """A bar across the whole image has no lines to lose along itself, and keeps its profile."""
    bar = torch.zeros(60, 1, 32, 32)
    bar[..., 13:17, :] = 0.4
    changed = artefact(bar, seeded())[:, 0]
    along = changed.diff(dim=-1).abs().amax((1, 2)) < 1e-4
    if artefact is anisotropy:
        assert bool(along.all())
        along = (changed - bar[:, 0]).abs().amax((1, 2)) < 1e-4
    else:  # along the bar, a modulation only moves and fades what is constant
        rows = changed.sum(dim=-1)
        along = (rows[:, :13].abs().amax(1) < 1e-3) & (rows[:, 17:].abs().amax(1) < 1e-3)
    assert 20 < int(along.sum()) < 40


# -- motion ------------------------------------------------------------------------------------


def pose(*, shift_x=0.0, shift_y=0.0, angle=0.0):
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin, shift_x], [sin, cos, shift_y]])


def test_lines_come_from_the_position_of_their_time():
    """Shifts by whole pixels, against k-space put together by hand from rolled images."""
    image = head(64, 64) * (head(64, 64) > 0.01)
    poses = torch.stack([pose(shift_x=2 * 3 / 64), pose(shift_y=-2 * 2 / 64)])[None]
    found = interrupt(image, poses, one(0.1, 0.2)[None])
    lines = torch.fft.fftfreq(64, d=1 / 64)
    spectrum = torch.fft.fft2(image)
    early = torch.fft.fft2(image.roll(-3, dims=-1))
    late = torch.fft.fft2(image.roll(2, dims=-2))
    spectrum[..., lines < -6.4, :] = early[..., lines < -6.4, :]
    spectrum[..., lines > 12.8, :] = late[..., lines > 12.8, :]
    torch.testing.assert_close(found, torch.fft.ifft2(spectrum).abs(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_motion_keeps_the_mean_and_disturbs_the_rest(size):
    batch = head(*size, count=20)
    moved = motion(batch, seeded())
    # Magnitudes turn the little that would be negative into something positive.
    torch.testing.assert_close(moved.mean((1, 2, 3)), batch.mean((1, 2, 3)), rtol=0.05, atol=0)
    difference = (moved - batch).abs().amax((1, 2, 3))
    assert float(difference.median()) > 0.02
    outside = (batch < 1e-4).expand_as(moved)  # repeated edges reach into the background
    assert float(moved[outside].max()) > 0.01


def test_poses_are_rigid_on_oblong_images():
    """All lines but the central one are turned: the head must keep its shape."""
    image = head(48, 96)
    quarter = pose(angle=math.pi / 2)
    found = interrupt(image, torch.stack([quarter, quarter])[None], one(0.0, 0.0)[None])
    turned = torch.zeros(1, 1, 48, 96)
    turned[..., 24:72] = torch.rot90(image, -1, dims=(-2, -1))[..., 24:72, :].clone()
    offset = (image - turned).mean(dim=-2, keepdim=True)  # line 0 of k-space stays at rest
    torch.testing.assert_close(found, (turned + offset).abs(), atol=2e-3, rtol=0)


# -- spike -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_difference_is_one_wave(size):
    grey = torch.full((12, 1, *size), 0.5)
    difference = (spike(grey, seeded()) - grey)[:, 0].double()
    power = torch.fft.fft2(difference).abs().square().flatten(1)
    highest = power.topk(2, dim=1).values.sum(1)
    assert bool((highest / power.sum(1) > 0.999).all())
    amplitude = difference.square().mean((1, 2)).mul(2).sqrt()
    assert 0.1 < float(amplitude.max()) < 0.151 * math.sqrt(2)


def test_stripes_are_the_cosine_that_was_asked_for():
    grey = torch.full((1, 1, 20, 30), 0.5)
    found = stripes(grey, one(0.2), (one(3), one(-2)), one(0.7))[0, 0]
    x, y = (torch.arange(30) + 0.5) / 30 - 0.5, (torch.arange(20).reshape(-1, 1) + 0.5) / 20 - 0.5
    expected = 0.5 + 0.2 * torch.cos(2 * math.pi * (3 * x - 2 * y) + 0.7)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_stripes_over_air_are_magnitudes_and_not_cut_to_zero():
    air = torch.zeros(1, 1, 20, 30)
    found = stripes(air, one(0.2), (one(3), one(-2)), one(0.7))[0, 0]
    x, y = (torch.arange(30) + 0.5) / 30 - 0.5, (torch.arange(20).reshape(-1, 1) + 0.5) / 20 - 0.5
    expected = 0.2 * torch.cos(2 * math.pi * (3 * x - 2 * y) + 0.7).abs()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert float((found == 0).float().mean()) < 0.01


# -- anisotropy --------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [64, 63])
def test_high_frequencies_are_lost_along_one_axis_alone(height):
    image = noise_images(1, 1, height, 48)
    before, after = (
        torch.fft.fft2(picture)[0, 0] for picture in (image, keep_central_lines(image, one(4)))
    )
    kept = torch.fft.fftfreq(height).abs() <= 1 / 8
    torch.testing.assert_close(after[kept], before[kept], atol=1e-2, rtol=1e-4)
    assert float(after[~kept].abs().max()) < 1e-2
    assert float(before[~kept].abs().mean()) > 5


def test_anisotropy_keeps_the_mean_and_each_image_gets_a_factor():
    batch = 0.3 + 0.4 * head(64, 64, count=30) + 0.1 * noise_images(30, 1, 64, 64)
    lowered = anisotropy(batch, seeded())
    torch.testing.assert_close(lowered.mean((1, 2, 3)), batch.mean((1, 2, 3)), atol=1e-4, rtol=0)
    kept = (torch.fft.fft2(lowered)[:, 0].abs() > 0.05).float().mean((1, 2))
    assert 0.24 < float(kept.min()) < 0.35
    assert 0.55 < float(kept.max()) < 0.70


# -- mri ---------------------------------------------------------------------------------------


def test_each_artefact_falls_on_one_image_of_ten(monkeypatch):
    struck = []

    def mark(part, generator):
        struck.append(len(part))
        return torch.zeros_like(part)

    monkeypatch.setattr("mritk_augment.mri.ARTEFACTS", (mark, mark, mark, mark))
    monkeypatch.setattr("mritk_augment.mri.rician_noise", lambda images, generator: images)
    changed = mri(torch.full((3000, 1, 8, 8), 0.5), seeded())
    assert len(struck) == 4
    assert all(240 < count < 360 for count in struck)
    assert int((changed == 0).all(dim=-1).all(dim=-1).sum()) == sum(struck)


def test_without_artefacts_mri_is_position_tone_shading_and_noise():
    smooth = mri(head(48, 48, count=40), seeded(), artefact=0.0)
    with_some = mri(head(48, 48, count=40), seeded(), artefact=0.25)
    assert not torch.equal(smooth, with_some)
    assert float((smooth - head(48, 48)).abs().amax((1, 2, 3)).min()) > 0.02


def test_mri_mirrors_half_of_the_images():
    batch = torch.zeros(200, 1, 32, 32)
    batch[..., 12:20, 22:26] = 0.8  # on the right
    changed = mri(batch, seeded(), artefact=0.0)[:, 0]
    left, right = changed[..., :16].mean((1, 2)), changed[..., 16:].mean((1, 2))
    assert 70 < int((left > right).sum()) < 130


# -- groups ------------------------------------------------------------------------------------


def test_groups_are_treated_apart_and_put_back_in_their_places():
    values = torch.arange(8.0).reshape(8, 1)
    group = torch.tensor([2, 0, 1, 2, 1, 0, 2, 2])
    seen = {}

    def note(name, factor):
        def branch(part, rows):
            seen[name] = rows.tolist()
            assert part.flatten().tolist() == rows.tolist()
            return part * factor

        return branch

    branches = [None, note("tens", 10), note("hundreds", 100), note("never", 0)]
    found = apply_by_group(values, group, branches).flatten().tolist()
    assert found == [0, 1, 20, 300, 40, 5, 600, 700]
    assert seen == {"tens": [2, 4], "hundreds": [0, 3, 6, 7]}


def test_a_batch_of_one_group_is_not_copied():
    values = torch.rand(3, 2)
    assert apply_by_group(values, torch.zeros(3, dtype=torch.int64), [None]) is values
