"""The input contract: what pixels look like when they reach the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mritk import InputContract, UsageError
from mritk.model.contract import Normalise

HALF = InputContract(None, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PLAIN = InputContract(None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
GREY = InputContract(None, (0.0,), (1.0,))


def normalise(contract, batch):
    return Normalise(contract, batch.ndim - 2, "cpu")(batch)


@pytest.mark.parametrize(("pixel", "expected"), [(0, -1.0), (127.5, 0.0), (255, 1.0)])
def test_a_contract_of_halves_turns_0_to_255_into_minus_1_to_1(pixel, expected):
    batch = torch.full((2, 3, 4, 4), pixel / 255)
    torch.testing.assert_close(normalise(HALF, batch), torch.full((2, 3, 4, 4), expected))


def test_the_default_contract_is_that_of_imagenet():
    contract = InputContract()
    assert contract.mean == (0.485, 0.456, 0.406)
    assert contract.std == (0.229, 0.224, 0.225)
    batch = torch.rand(2, 3, 4, 5)
    mean = torch.tensor(contract.mean)[:, None, None]
    std = torch.tensor(contract.std)[:, None, None]
    torch.testing.assert_close(normalise(contract, batch), (batch - mean) / std)


def test_grey_is_repeated_and_then_normalised_channel_by_channel():
    batch = torch.rand(2, 1, 4, 4)
    expected = normalise(InputContract(), batch.repeat(1, 3, 1, 1))
    torch.testing.assert_close(normalise(InputContract(), batch), expected)


def test_bgr_reverses_the_channels_and_mean_and_std_are_in_that_order():
    contract = InputContract(None, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0), channel_order="BGR")
    red = torch.tensor([0.9, 0.0, 0.0]).reshape(1, 3, 1, 1)
    expected = [(0 - 0.1) / 1, (0 - 0.2) / 2, (0.9 - 0.3) / 4]
    torch.testing.assert_close(normalise(contract, red).flatten(), torch.tensor(expected))


def test_grey_in_bgr_meets_the_means_in_their_order():
    contract = InputContract(None, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), channel_order="BGR")
    grey = torch.zeros(1, 1, 1, 1)
    torch.testing.assert_close(
        normalise(contract, grey).flatten(), torch.tensor([-0.1, -0.2, -0.3])
    )


def test_colour_becomes_grey_by_the_luma_of_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    luma = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)
    batch = torch.from_numpy(pixels).movedim(-1, 0)[None] / 255
    got = normalise(GREY, batch)
    assert got.shape == (1, 1, 8, 8)
    np.testing.assert_allclose(got[0, 0].numpy() * 255, luma, atol=1.0)


def test_grey_stays_grey_for_a_network_of_one_channel():
    batch = torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(normalise(GREY, batch), batch)


def test_volumes_are_normalised_alike():
    batch = torch.rand(2, 1, 4, 5, 6)
    got = normalise(HALF, batch)
    assert got.shape == (2, 3, 4, 5, 6)
    torch.testing.assert_close(got, (batch.expand(2, 3, 4, 5, 6) - 0.5) / 0.5)


@pytest.mark.parametrize(("contract", "channels"), [(PLAIN, 2), (PLAIN, 4), (GREY, 2)])
def test_a_number_of_channels_that_cannot_be_brought_over_is_refused(contract, channels):
    with pytest.raises(
        UsageError, match=f"takes {contract.channels} channels, but the images have {channels}"
    ):
        normalise(contract, torch.zeros(1, channels, 2, 2))


def test_the_batch_is_left_as_it_was():
    batch = torch.rand(2, 3, 4, 4)
    before = batch.clone()
    normalise(InputContract(channel_order="BGR"), batch)
    assert torch.equal(batch, before)


@pytest.mark.parametrize(
    "fields",
    [
        {"channel_order": "bgr"},
        {"std": (0.5, 0.5, 0.0)},
        {"std": (0.5,)},
        {"interpolation": "bilinaer"},
    ],
    ids=["order", "zero", "lengths", "interpolation"],
)
def test_a_contract_with_a_slip_is_refused_when_it_is_written(fields):
    """A misspelt channel order would otherwise feed red to the blue filters without a word."""
    with pytest.raises(ValueError):
        InputContract(**fields)
