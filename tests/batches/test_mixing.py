"""MixUp and CutMix are those of torchvision, for images, volumes, classes and values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.transforms import v2

from mritk.batches.mixing import Mixing, blend, draw_box, paste

IMAGES = torch.rand(6, 3, 10, 14, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 0, 2, 1])
SOFT = functional.one_hot(LABELS, 3).float()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_a_blend_is_torchvisions_mixup(share):
    mixup = v2.MixUp(num_classes=3)
    params = {"lam": share, "labels": LABELS, "batch_size": len(IMAGES)}
    torch.testing.assert_close(blend(IMAGES, share), mixup.transform(IMAGES, params))
    expected = mixup._mixup_label(LABELS, lam=share)
    torch.testing.assert_close(blend(SOFT, share), expected)


@pytest.mark.parametrize("box", [((2, 7), (0, 9)), ((0, 10), (0, 14)), ((4, 4), (3, 8))])
def test_a_pasted_box_is_torchvisions_cutmix(box):
    (top, bottom), (left, right) = box
    mixed, kept = paste(IMAGES, box)
    cutmix = v2.CutMix(num_classes=3)
    share = 1 - (bottom - top) * (right - left) / 140
    params = {"box": (left, top, right, bottom), "lam_adjusted": share}
    params |= {"labels": LABELS, "batch_size": len(IMAGES)}
    assert kept == pytest.approx(share)
    assert torch.equal(mixed, cutmix.transform(IMAGES, params))


@pytest.mark.parametrize("seed", range(20))
def test_a_drawn_box_is_the_one_that_torchvision_draws_from_the_same_share_and_centre(
    seed, monkeypatch
):
    share = float(np.random.default_rng(seed).random())
    (top, bottom), (left, right) = draw_box((40, 60), share, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    row, column = rng.integers(40), rng.integers(60)
    draws = iter([column, row])  # torchvision draws the column first
    cutmix = v2.CutMix(num_classes=3)
    cutmix._dist = type("Given", (), {"sample": lambda *_: torch.tensor(share)})
    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.tensor(next(draws)))
    params = cutmix.make_params([torch.zeros(2, 1, 40, 60)])
    assert params["box"] == (left, top, right, bottom)


def test_the_batch_that_is_mixed_stays_as_it_was():
    images, soft = IMAGES.clone(), SOFT.clone()
    for mixing in (Mixing(mixup=1.0), Mixing(cutmix=1.0)):
        for seed in range(5):
            mixing(images, soft, seed)
    assert torch.equal(images, IMAGES)
    assert torch.equal(soft, SOFT)


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=1.0), Mixing(0.4, 1.0)])
def test_a_mixed_batch_is_a_function_of_its_seed(mixing):
    one, other, third = (mixing(IMAGES, SOFT, seed) for seed in (3, 3, 4))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert not torch.equal(one[0], third[0])


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=1.0)])
@pytest.mark.parametrize("sides", [(12, 12), (8, 8, 8)])
def test_pixels_targets_and_values_are_mixed_in_one_share(mixing, sides):
    """Image i is filled with i, so that its mean tells how much of it is in there."""
    filled = torch.arange(4.0).reshape(-1, 1, *[1] * len(sides)).expand(4, 1, *sides)
    soft, ages = torch.eye(4), torch.arange(4.0)
    for seed in range(10):
        mixed, targets = mixing(filled, soft, seed)
        same, values = mixing(filled, ages, seed)
        assert torch.equal(mixed, same)
        means = mixed.flatten(1).mean(1)
        torch.testing.assert_close(targets @ ages, means)
        torch.testing.assert_close(values, means)
        torch.testing.assert_close(targets.sum(1), torch.ones(4))


def test_the_share_follows_the_beta_distribution():
    """Its variance is 1 / (4 (2 alpha + 1))."""
    soft = torch.eye(2)
    for alpha in (0.2, 1.0):
        shares = [Mixing(mixup=alpha)(soft, soft, seed)[1][0, 0].item() for seed in range(2000)]
        assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
        assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_with_both_each_batch_takes_one_of_them():
    """A batch of CutMix holds only pixels that were there, one of MixUp does not."""
    filled = torch.arange(2.0).reshape(2, 1, 1, 1).expand(2, 1, 8, 8)
    both = Mixing(mixup=1.0, cutmix=1.0)
    cut = [
        bool(set(both(filled, torch.eye(2), s)[0].unique().tolist()) <= {0, 1}) for s in range(200)
    ]
    assert 70 < sum(cut) < 130


def test_a_box_of_a_volume_takes_its_share_of_the_voxels():
    rng, side, shares = np.random.default_rng(0), 100, []
    for _ in range(300):
        box = draw_box((side,) * 3, 0.9, rng)
        sizes = [last - first for first, last in box]
        assert all(0 <= first <= last <= side for first, last in box)
        if all(first > 0 and last < side for first, last in box):
            shares.append(np.prod(sizes) / side**3)
    assert np.median(shares) == pytest.approx(0.1, rel=0.05)


def test_switched_off_it_is_false():
    assert not Mixing()
    assert Mixing(mixup=0.1)
    assert Mixing(cutmix=0.1)
