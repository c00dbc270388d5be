"""The same artefacts with the same parameters from TorchIO, where it is installed."""

from __future__ import annotations

import math

import pytest
import torch

from mritk_augment.bias_field import polynomial
from mritk_augment.blur import blurred
from mritk_augment.gamma import gamma
from mritk_augment.spike import stripes

pytestmark = pytest.mark.slow  # the import of TorchIO takes seconds


@pytest.fixture(scope="module")
def torchio():
    """The library, imported where it is compared with: that takes half a second and 120 MiB."""
    return pytest.importorskip("torchio", reason="TorchIO is a reference, not a requirement")


def seeded():
    return torch.Generator().manual_seed(0)


def image(height, width):
    return 0.3 + 0.3 * torch.rand(1, 1, height, width, generator=seeded())


@pytest.fixture
def by_torchio(torchio):
    """Give TorchIO (C, I, J, 1) with I the rows; it knows volumes only."""

    def call(transform, picture):
        scan = torchio.ScalarImage(tensor=picture[0].unsqueeze(-1))
        return transform(torchio.Subject(scan=scan)).scan.data[..., 0].unsqueeze(0)

    return call


def test_the_logarithm_of_the_bias_field(torchio, by_torchio):
    """TorchIO puts ±1 in the centre of the last pixel, here it is its edge."""
    coefficients = torch.rand(4, 4, generator=seeded()).double() - 0.5
    terms = [  # TorchIO's order: powers along the rows, the columns, the one slice
        coefficients[j, i] * (j + i > 0) if k == 0 else 0
        for j in range(4)
        for i in range(4 - j)
        for k in range(4 - j - i)
    ]
    transform = torchio.BiasField(coefficients=[float(term) for term in terms], order=3)
    expected = by_torchio(transform, torch.ones(1, 1, 64, 48)).log()
    power = torch.arange(4.0)
    stretch = (64 / 63) ** power.reshape(-1, 1) * (48 / 47) ** power
    found = polynomial((coefficients * stretch)[None].float(), torch.zeros(1, 1, 64, 48))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_logarithm_of_the_bias_field_of_volumes(torchio):
    sides = (12, 10, 14)
    coefficients = torch.rand(4, 4, 4, generator=seeded()).double() - 0.5
    terms = [
        coefficients[k, j, i] * (k + j + i > 0)
        for k in range(4)
        for j in range(4 - k)
        for i in range(4 - k - j)
    ]
    scan = torchio.ScalarImage(tensor=torch.ones(1, *sides))
    transform = torchio.BiasField(coefficients=[float(term) for term in terms], order=3)
    expected = transform(torchio.Subject(scan=scan)).scan.data.log()[None]
    power = torch.arange(4.0)
    stretch = torch.ones(())
    for axis, side in enumerate(sides):
        stretch = stretch * (side / (side - 1)) ** power.reshape(-1, *[1] * (2 - axis))
    found = polynomial((coefficients * stretch)[None].float(), torch.zeros(1, 1, *sides))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_gamma(torchio, by_torchio):
    picture = image(16, 20)
    exponent = math.exp(0.6 * float(torch.rand(1, generator=seeded())) - 0.3)
    expected = by_torchio(torchio.Gamma(gamma=exponent), picture)
    torch.testing.assert_close(gamma(picture, seeded()), expected, atol=1e-6, rtol=0)


def test_a_spike(torchio, by_torchio):
    """One point of k-space, real part: a cosine that starts in the first pixel."""
    picture, (cycles_y, cycles_x) = image(32, 40), (3, -5)
    centre = torch.fft.fft2(picture).abs().max() / (32 * 40)
    place = [(16 + cycles_y + 0.5) / 32, (20 + cycles_x + 0.5) / 40, 0.0]
    expected = by_torchio(torchio.Spike(spikes_positions=[place], intensity=0.2), picture)
    first = [math.pi * cycles * (1 / side - 1) for cycles, side in ((cycles_x, 40), (cycles_y, 32))]
    one = torch.ones(1)
    found = stripes(
        picture, 0.2 * centre * one, (cycles_x * one, cycles_y * one), -sum(first) * one
    )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_spike_in_a_volume(torchio):
    volume = 0.3 + 0.3 * torch.rand(1, 1, 8, 12, 10, generator=seeded())
    sides, cycles = volume.shape[2:], (2, 3, -1)
    centre = torch.fft.fftn(volume, dim=(2, 3, 4)).abs().max() / volume.numel()
    place = [(side // 2 + c + 0.5) / side for side, c in zip(sides, cycles, strict=True)]
    spike = torchio.Spike(spikes_positions=[place], intensity=0.2)
    scan = torchio.ScalarImage(tensor=volume[0])
    expected = spike(torchio.Subject(scan=scan)).scan.data[None]
    first = sum(math.pi * c * (1 / side - 1) for side, c in zip(sides, cycles, strict=True))
    one = torch.ones(1)
    found = stripes(volume, 0.2 * centre * one, [c * one for c in cycles[::-1]], -first * one)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_blur(torchio):
    volume = torch.rand(1, 1, 12, 10, 14, generator=seeded())
    scan = torchio.ScalarImage(tensor=volume[0])
    expected = torchio.Blur(std=1.0)(torchio.Subject(scan=scan)).scan.data[None]
    found = blurred(volume, torch.ones(1), 4)
    inside = (..., *[slice(4, -4)] * 3)  # at edges TorchIO mirrors, here they are repeated
    torch.testing.assert_close(found[inside], expected[inside], atol=1e-5, rtol=0)
