"""Behind an augmentation, z-scores are those of the head, wherever it was moved to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mritk import Augmentation, InputContract
from mritk.batches.augmented import augmented
from mritk.model.contract import zscore
from mritk.plugins.registry import Registry
from tests.training_fixtures import SIDE

ZSCORE = InputContract(SIDE, (0.0,) * 3, (1.0,) * 3, intensity="zscore")
NAMES = ("affine", "mri", "rician_noise", "ghosting", "motion", "spike", "blur")


@pytest.fixture
def heads():
    """A ball of noise in air, (8, 3, 24, 24); its channels end at different radii."""
    x, y = torch.meshgrid(torch.arange(24) - 12, torch.arange(24) - 12, indexing="ij")
    distance = (x.square() + y.square()).sqrt()
    inside = torch.stack([distance < radius for radius in (8, 9, 10)])
    generator = torch.Generator().manual_seed(0)
    return (0.3 + 0.3 * torch.rand(8, 3, 24, 24, generator=generator)) * inside


@pytest.fixture
def apply(make_setup):
    """Augment a batch for a network that takes z-scores, or for one that takes pixels."""

    def call(function, images, *, contract=ZSCORE):
        setup = make_setup(contract=contract, augmentation=Augmentation("it", function))
        return augmented(images, setup, 1, ambient=2)

    return call


def brighter(images, generator):
    """Brightness and contrast of each image, of air too."""
    steeper, more = torch.rand(2, len(images), 1, 1, 1, generator=generator)
    return images * (0.5 + 0.5 * steeper) + 0.4 * more


def test_brightness_and_contrast_of_a_whole_image_change_no_zscore(heads, apply):
    found = apply(brighter, heads)
    assert not torch.allclose(found, heads, atol=0.1)
    assert torch.equal(found == 0, heads == 0)
    torch.testing.assert_close(zscore(found), zscore(heads), rtol=0, atol=1e-4)


def test_the_head_is_where_it_was_moved_to(heads, apply):
    def moved(images, generator):
        by = int(torch.randint(1, 9, (1,), generator=generator))
        return images.roll(by, dims=-1) + 0.1

    found = apply(moved, heads)
    (by,) = [n for n in range(1, 9) if torch.equal(found != 0, (heads != 0).roll(n, dims=-1))]
    torch.testing.assert_close(zscore(found), zscore(heads.roll(by, dims=-1)), rtol=0, atol=1e-4)


def test_draws_of_torchs_own_generators_are_the_same_for_both(heads, apply):
    def moved(images, generator):
        return images.roll(int(torch.randint(1, 9, ())), dims=-1) + 0.1 * torch.rand(()) + 0.1

    found = apply(moved, heads)
    assert any(torch.equal(found != 0, (heads != 0).roll(n, dims=-1)) for n in range(1, 9))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_of_mritks_own_augmentations_none_makes_air_a_part_of_the_head(heads, apply, name, dims):
    """As one tissue, the middle of a head has about its mean, a z-score of 0; blur darkens rims."""
    if dims == 3:
        heads = torch.stack([heads * (abs(k - 12) < 8) for k in range(24)], dim=2)
    own = Registry.load(environ={}).augmentation(name).apply
    core, corner = ((..., *[slice(*ends)] * dims) for ends in ((9, 15), (0, 2)))
    unmasked = own(heads, torch.Generator().manual_seed(1))
    assert zscore(unmasked)[core].mean() > 0.7
    found = apply(own, heads)
    assert abs(zscore(found)[core].mean()) < 0.5
    assert not found[corner].any()


def test_pixels_are_left_as_the_augmentation_gives_them(heads, apply):
    expected = brighter(heads, torch.Generator().manual_seed(1))
    pixels = InputContract(SIDE, (0.5,) * 3, (0.5,) * 3)
    assert torch.equal(apply(brighter, heads, contract=pixels), expected)


def test_what_has_no_air_is_left_as_the_augmentation_gives_it(apply):
    """Of a head with its skull, noise is 0 in places."""
    images = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(3)) + 0.1
    images[:, 1, :6] = 0  # one channel has some
    images[:, 2, ::4, ::4] = 0
    expected = brighter(images, torch.Generator().manual_seed(1))
    found = apply(brighter, images)
    assert torch.equal(found[:, [0, 2]], expected[:, [0, 2]])
    assert not found[:, 1, :6].any()
    assert torch.equal(found[:, 1, 6:], expected[:, 1, 6:])


@pytest.mark.parametrize(("air", "passes"), [(0, 1), (6, 4)])
def test_on_a_cpu_an_augmentation_is_applied_once_where_there_is_no_air(apply, air, passes):
    seen = []

    def counted(images, generator):
        seen.append(len(images))
        return brighter(images, generator)

    images = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(3)) + 0.1
    images[3, 1, :air] = 0
    apply(counted, images)
    assert seen == [4] * passes


def test_an_augmentation_that_makes_the_mask_even_grey_masks_nothing(heads, apply):
    """Solarize, say: what is 1 becomes 0."""

    def solarized(images, generator):
        return torch.where(images >= 0.7, 1 - images, images) + 0.05

    assert torch.equal(apply(solarized, heads), heads + 0.05)


def test_a_training_does_not_see_brightness_that_is_added_everywhere(record, bands):
    """Its losses are those without the augmentation."""
    given = bands()
    stored = np.stack([given.read(i) for i in range(len(given))])
    stored[:, :, :4] = 0
    losses = {}
    for name, function in (("none", None), ("brighter", lambda x, generator: x * 0.8 + 0.1)):
        run = record(
            contract=ZSCORE,
            samples=bands(read=lambda i: stored[i]),
            augmentation=Augmentation(name, function),
        )
        losses[name] = [epoch.train_loss for epoch in run.epochs]
    assert losses["brighter"] == pytest.approx(losses["none"], abs=1e-4)


def test_shading_and_noise_take_no_voxel_of_a_head_away(apply):
    """However dark the shade, and also where single voxels are 0."""
    images = 0.3 + 0.3 * torch.rand(4, 1, 16, 16, 16, generator=torch.Generator().manual_seed(4))
    images[:, :, ::2, ::2, ::2] = 0
    for name in ("bias_field", "gamma", "rician_noise"):
        own = Registry.load(environ={}).augmentation(name).apply
        found, unmasked = apply(own, images), own(images, torch.Generator().manual_seed(1))
        assert torch.equal(found, torch.where(images != 0, unmasked, 0)), name
