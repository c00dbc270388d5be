"""RandAugment and TrivialAugment: the operations and tables of torchvision, for whole batches."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms
from torchvision.transforms.v2 import functional as reference

from mritk_augment import mritk_augmentations
from mritk_augment.operations import OPERATIONS, SIGNED, magnitudes
from mritk_augment.policy import (
    LIMITS,
    WIDE,
    Step,
    apply_steps,
    draw_step,
    rand_augment,
    trivial_augment,
)

BILINEAR = InterpolationMode.BILINEAR
POLICIES = {
    "rand": (LIMITS, transforms.RandAugment()),
    "trivial": (WIDE, transforms.TrivialAugmentWide()),
}
SHAPES = [(1, 32, 32), (3, 32, 32), (1, 24, 40), (3, 41, 23)]
GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bytes_image(*shape, seed=0):
    """Blocks, a ramp and noise, in 8 bits: edges to move and a histogram to equalise."""
    noise = torch.randint(0, 60, shape, generator=seeded(seed))
    ramp = torch.linspace(20, 160, shape[-1]).long()
    picture = noise + ramp
    picture[..., shape[-2] // 4 : shape[-2] // 2, shape[-1] // 3 :] += 30
    return picture.to(torch.uint8)


def torchvision_name(name):
    special = {"autocontrast": "AutoContrast"}
    return special.get(name, "".join(part.capitalize() for part in name.split("_")))


def by_torchvision(image, name, value):
    """The operation as torchvision's own policies call it."""
    return POLICIES["rand"][1]._apply_image_or_video_transform(
        image, torchvision_name(name), value, interpolation=BILINEAR, fill={torch.Tensor: None}
    )


def one_step(names, values):
    return Step(torch.tensor([OPERATIONS.index(name) for name in names]), torch.tensor(values))


def by_us(image, name, value):
    step = one_step([name], [float(value)])
    return apply_steps(image.unsqueeze(0).float() / 255, [step])[0] * 255


# -- single operations -------------------------------------------------------------------------

VALUES = {
    **dict.fromkeys(("shear_x", "shear_y"), (0.09, -0.3, 0.99)),
    **dict.fromkeys(("translate_x", "translate_y"), (4.0, -7.0)),
    "rotate": (9.0, -30.0, 135.0),
    **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (0.27, -0.27, 0.9, -0.99)),
    "posterize": (8.0, 7.0, 4.0, 2.0),
    "solarize": (1.0, 0.7, 0.0),
    **dict.fromkeys(("identity", "autocontrast", "equalize"), (0.0,)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_that_of_torchvision(name, shape):
    """Within 1 of 255, as torchvision cuts its results to whole grey levels.

    Where it also rounds the poorer image that it mixes with, the two add up to less than 2.
    """
    image = bytes_image(*shape)
    tolerance = 2.0 if name in ("color", "contrast", "sharpness") else 1.0
    for value in VALUES[name]:
        expected = by_torchvision(image, name, value).float()
        difference = (by_us(image, name, value) - expected).abs().max()
        assert float(difference) <= tolerance + 1e-3, (value, float(difference))


@pytest.mark.parametrize("name", ["posterize", "equalize"])
def test_operations_on_grey_levels_are_exact(name):
    for seed in range(20):
        image = bytes_image(3, 20, 30, seed=seed)
        for value in VALUES[name]:
            expected = by_torchvision(image, name, value)
            assert torch.equal(by_us(image, name, value).round().to(torch.uint8), expected)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_an_image_of_one_value_stays_as_it_is(name):
    for level in (0, 77, 255):
        image = torch.full((1, 16, 16), level, dtype=torch.uint8)
        torch.testing.assert_close(by_us(image, name, 0.0), image.float(), atol=1e-4, rtol=0)


def test_equalize_of_a_few_values_follows_pillow():
    """Where fewer than 255 pixels lie below the brightest value there is nothing to spread."""
    image = torch.zeros(1, 20, 20, dtype=torch.uint8)
    for darker in (100, 254, 255, 300):
        image.fill_(200).flatten()[:darker] = 40
        expected = reference.equalize(image).float()
        torch.testing.assert_close(by_us(image, "equalize", 0.0), expected, atol=1e-3, rtol=0)


def test_color_changes_nothing_on_grey_images():
    image = torch.rand(1, 1, 16, 16)
    assert torch.equal(apply_steps(image, [one_step(["color"], [0.9])]), image)


def test_images_too_small_to_smooth_are_not_sharpened():
    image = torch.rand(1, 1, 2, 9)
    assert torch.equal(apply_steps(image, [one_step(["sharpness"], [0.9])]), image)


# -- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [(224, 224), (96, 160)])
def test_magnitudes_and_signs_are_those_of_torchvision(policy, size):
    limits, theirs = POLICIES[policy]
    table = magnitudes(limits, *size)
    space = theirs._AUGMENTATION_SPACE
    assert {torchvision_name(name) for name in OPERATIONS} == set(space)
    for number, name in enumerate(OPERATIONS):
        function, signed = space[torchvision_name(name)]
        assert bool(SIGNED[number]) == signed
        expected = function(31, *size)
        if expected is None:
            continue
        if name.startswith("translate"):  # they cut to whole pixels when the shift is applied
            expected = expected.trunc()
        torch.testing.assert_close(table[number], expected.float())


@pytest.mark.slow
def test_operations_and_signs_are_drawn_evenly():
    step = draw_step(torch.zeros(14_000, 1, 64, 64), seeded(), LIMITS, magnitude=9)
    counts = torch.bincount(step.operations, minlength=14)
    assert 850 < int(counts.min()) <= int(counts.max()) < 1150
    for name in ("rotate", "shear_x", "contrast"):
        values = step.values[step.operations == OPERATIONS.index(name)]
        assert len(values.unique()) == 2
        assert abs(float(values.sign().mean())) < 0.15
    rotations = step.values[step.operations == OPERATIONS.index("rotate")].abs()
    assert rotations.unique().tolist() == pytest.approx([9.0])


def test_trivial_augment_draws_every_magnitude():
    step = draw_step(torch.zeros(1).expand(14_000, 1, 64, 64), seeded(), WIDE, magnitude=None)
    values = step.values[step.operations == OPERATIONS.index("rotate")]
    assert len(values.abs().unique()) == 31
    assert float(values.max()) == 135
    assert float(values.min()) == -135


# -- sequences ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_batch_gives_what_its_images_give_alone():
    """Every pair of operations, in one batch: groups are taken apart and put back in place."""
    pairs = [(one, two) for one in OPERATIONS for two in OPERATIONS]
    values = [[VALUES[pair[layer]][0] for pair in pairs] for layer in (0, 1)]
    batch = torch.stack([bytes_image(1, 20, 26, seed=seed) for seed in range(len(pairs))]) / 255
    steps = [one_step([pair[layer] for pair in pairs], values[layer]) for layer in (0, 1)]
    together = apply_steps(batch, steps)
    for row, pair in enumerate(pairs):
        alone = [one_step([pair[layer]], [values[layer][row]]) for layer in (0, 1)]
        expected = apply_steps(batch[row : row + 1], alone)
        torch.testing.assert_close(together[row : row + 1], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("first", OPERATIONS)
@pytest.mark.parametrize("second", ["identity", "contrast", "equalize"])
def test_operations_are_applied_in_their_order(first, second):
    image = bytes_image(1, 24, 32)[None] / 255
    steps = [one_step([name], [VALUES[name][0]]) for name in (first, second)]
    expected = apply_steps(apply_steps(image, steps[:1]), steps[1:])
    torch.testing.assert_close(apply_steps(image, steps), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("first", GEOMETRY)
@pytest.mark.parametrize("second", GEOMETRY)
def test_movements_in_a_row_are_composed_into_one(first, second):
    """A smooth blob in the middle lands where two resamplings put it, and is blurred less."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(52.0), indexing="ij")
    blob = torch.exp(-((x - 28) ** 2 + (y - 18) ** 2) / 18)[None, None]
    steps = [one_step([name], [VALUES[name][0]]) for name in (first, second)]
    together = apply_steps(blob, steps)
    twice = apply_steps(apply_steps(blob, steps[:1]), steps[1:])
    torch.testing.assert_close(together, twice, atol=0.05, rtol=0)
    assert float(together.square().sum()) >= float(twice.square().sum()) - 1e-3


def test_there_and_back_again_loses_nothing_at_the_edge():
    image = torch.rand(1, 1, 16, 16)
    steps = [one_step(["translate_x"], [6.0]), one_step(["translate_x"], [-6.0])]
    torch.testing.assert_close(apply_steps(image, steps), image, atol=1e-5, rtol=0)


def test_rand_augment_follows_its_two_numbers():
    batch = torch.rand(16, 1, 16, 16)
    assert torch.equal(rand_augment(batch, seeded(), operations=0), batch)
    gentle = rand_augment(batch, seeded(), operations=1, magnitude=0)
    flat = (gentle - batch).abs().flatten(1).amax(1)
    kept = int((flat < 0.5 / 255 + 1e-6).sum())  # posterize to 8 bits rounds to levels
    assert kept >= 10  # all but solarize at 1 (nothing), autocontrast, equalize
    assert not torch.equal(
        rand_augment(batch, seeded(), magnitude=20), rand_augment(batch, seeded())
    )


def test_rotation_turns_counterclockwise_for_positive_degrees():
    image = torch.zeros(1, 1, 21, 21)
    image[..., 10, 17] = 1  # to the right of the centre
    turned = apply_steps(image, [one_step(["rotate"], [90.0])])[0, 0]
    assert divmod(int(turned.argmax()), 21) == (3, 10)  # above it


def test_trivial_augment_moves_pixels_of_some_images_and_grey_levels_of_others():
    batch = torch.rand(1, 1, 24, 24).repeat(200, 1, 1, 1)
    moved = trivial_augment(batch, seeded())
    assert bool(torch.isfinite(moved).all())
    unchanged = (moved == batch).flatten(1).all(1)
    # identity, color on grey and magnitude 0: a bit more than 2 of 14
    assert math.isclose(float(unchanged.float().mean()), 2.5 / 14, abs_tol=0.1)


def test_policies_of_photographs_take_no_named_channels_and_all_others_do():
    apart = {a.name for a in mritk_augmentations() if not a.named_channels}
    assert apart == {"rand_augment", "trivial_augment"}
