"""Noise is complex and white in k-space, and Rician in the image."""

from __future__ import annotations

import math

import pytest
import torch

from mritk_augment.noise import complex_normal, mix
from mritk_augment.rician_noise import rician_noise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def complex_noise(count, *size):
    keys = torch.randint(2**32, (count,), generator=seeded())
    radius, angle = complex_normal(keys, torch.Size(size), torch.zeros(()))
    return radius * angle.cos(), radius * angle.sin()


def test_both_parts_of_the_noise_are_standard_normal():
    for part in complex_noise(8, 200, 200):
        values = part.flatten()
        assert abs(float(values.mean())) < 0.01
        assert float(values.std()) == pytest.approx(1, abs=0.01)
        assert float(values.pow(4).mean()) == pytest.approx(3, abs=0.05)
        for limit, share in ((1, 0.8413), (2, 0.97725), (3, 0.99865)):
            assert float((values < limit).float().mean()) == pytest.approx(share, abs=0.002)


def test_no_pixel_knows_of_its_neighbour_its_other_part_or_another_image():
    real, imaginary = complex_noise(8, 200, 200)
    pairs = {
        "right": (real[..., :-1], real[..., 1:]),
        "below": (real[..., :-1, :], real[..., 1:, :]),
        "parts": (real, imaginary),
        "radii": (real.square(), imaginary.square()),
        "images": (real[:-1], real[1:]),
    }
    for name, (left, right) in pairs.items():
        stacked = torch.stack([left.flatten(), right.flatten()])
        assert abs(float(torch.corrcoef(stacked)[0, 1])) < 0.008, name


def test_the_spectrum_of_the_noise_is_flat():
    power = torch.fft.fft2(complex_noise(32, 64, 64)[0]).abs().square().mean((0, 1)) / 64**2
    assert float(power.mean()) == pytest.approx(1, abs=0.02)
    assert float(power.max()) < 2.5  # mean of 32 exponentials: a line would stand out


def test_mixing_is_one_to_one():
    numbers = torch.cat([torch.arange(200_000), 2**32 - 1 - torch.arange(200_000)])
    mixed = mix(numbers)
    assert len(mixed.unique()) == len(numbers)
    assert bool(((mixed >= 0) & (mixed < 2**32)).all())


def test_neighbouring_keys_give_unrelated_noise():
    radius, _ = complex_normal(torch.arange(4), torch.Size([100, 100]), torch.zeros(()))
    related = torch.corrcoef(radius.flatten(1)).fill_diagonal_(0)
    assert float(related.abs().max()) < 0.04


# -- Rician noise ------------------------------------------------------------------------------


def test_black_becomes_rayleigh_noise():
    """Mean s·√(π/2), standard deviation s·√(2 - π/2): their ratio is 1.913 whatever s is."""
    noisy = rician_noise(torch.zeros(30, 1, 128, 128), seeded()).flatten(1)
    means, deviations = noisy.mean(1), noisy.std(1)
    sigmas = means / math.sqrt(math.pi / 2)
    torch.testing.assert_close(deviations, sigmas * math.sqrt(2 - math.pi / 2), rtol=0.03, atol=0)
    assert 0.04 < float(sigmas.max()) <= 0.0505
    assert float(sigmas.min()) < 0.01


def test_bright_tissue_gets_normal_noise_and_a_small_offset():
    black = rician_noise(torch.zeros(10, 1, 128, 128), seeded()).flatten(1)
    sigmas = black.mean(1) / math.sqrt(math.pi / 2)
    bright = rician_noise(torch.full((10, 1, 128, 128), 0.5), seeded()).flatten(1)
    torch.testing.assert_close(bright.std(1), sigmas, rtol=0.03, atol=0)
    offset = 0.5 + sigmas.square() / (2 * 0.5)  # A + s²/2A (Gudbjartsson & Patz 1995)
    torch.testing.assert_close(bright.mean(1), offset, rtol=0, atol=2e-3)


def test_volumes_get_noise_in_every_slice():
    noisy = rician_noise(torch.zeros(2, 1, 6, 32, 32), seeded())
    slices = noisy[0, 0].flatten(1)
    assert bool((slices.std(1) > 0).all())
    assert float(torch.corrcoef(slices).fill_diagonal_(0).abs().max()) < 0.15
