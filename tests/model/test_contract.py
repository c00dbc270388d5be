"""The input contract: what pixels look like when they reach the network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mritk import Grid, InputContract, UsageError
from mritk.model.contract import Normalise, zscore

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
        {"intensity": "z-score"},
        {"fit": "crop"},
        {"spacing": 1.0},
        {"size": (96, 0)},
        {"size": None, "fixed": True},
    ],
    ids=str,
)
def test_a_contract_with_a_slip_is_refused_when_it_is_written(fields):
    """A misspelt channel order would otherwise feed red to the blue filters without a word."""
    with pytest.raises(ValueError):
        InputContract(**fields)


# -- named channels --------------------------------------------------------------------------------


def test_three_named_channels_are_no_colours():
    """Neither luminance for a network of one channel, nor turned round for one of BGR."""
    batch = torch.rand(2, 3, 4, 4)
    with pytest.raises(UsageError, match="takes 1 channels, but the images have 3"):
        Normalise(GREY, 2, "cpu", named=True)(batch)
    turned = InputContract(None, (0.0,) * 3, (1.0,) * 3, channel_order="BGR")
    torch.testing.assert_close(Normalise(turned, 2, "cpu", named=True)(batch), batch)
    torch.testing.assert_close(Normalise(turned, 2, "cpu")(batch), batch.flip(1))


def test_zscores_are_those_of_numpy_over_what_is_not_zero():
    batch = torch.rand(2, 4, 5, 6, 7, generator=torch.Generator().manual_seed(0)) + 0.1
    batch[:, :, :2] = 0
    batch[1, 3] = 0
    found = zscore(batch).numpy()
    for sample, channel in np.ndindex(2, 4):
        values, seen = batch[sample, channel].numpy(), found[sample, channel]
        inside = values != 0
        assert (seen[~inside] == 0).all()
        if inside.any():
            expected = (values[inside] - values[inside].mean()) / values[inside].std()
            np.testing.assert_allclose(seen[inside], expected, atol=1e-5)


def test_a_channel_of_one_value_has_no_zscore_and_becomes_zero():
    assert torch.equal(zscore(torch.full((1, 1, 4, 4), 0.5)), torch.zeros(1, 1, 4, 4))


def test_a_contract_asks_for_zscores():
    contract = InputContract(None, (0.0,) * 4, (1.0,) * 4, intensity="zscore")
    batch = torch.rand(2, 4, 3, 3, 3)
    torch.testing.assert_close(Normalise(contract, 3, "cpu")(batch), zscore(batch))


# -- identity --------------------------------------------------------------------------------------


def test_fields_that_came_later_are_told_only_where_they_are_used():
    assert list(InputContract().as_dict()) == [
        *("size", "mean", "std", "interpolation", "channel_order"),
    ]
    used = InputContract(
        (96, 96, 64), fit="crop_or_pad", spacing=(1.0, 1.0, 2.0), intensity="zscore"
    )
    assert list(used.as_dict())[5:] == ["fit", "spacing", "intensity"]
    assert InputContract.from_dict(json.loads(json.dumps(used.as_dict()))) == used


def test_what_sizes_a_network_takes_is_no_part_of_its_identity():
    assert InputContract(fixed=True, minimum=32).as_dict() == InputContract().as_dict()


@pytest.mark.parametrize(
    ("fields", "takes"),
    [
        ({"size": 224, "fixed": True}, False),
        ({"size": 64, "fixed": True}, True),
        ({"size": (64, 64, 64), "fixed": True}, True),
        ({"size": (64, 64, 32), "fixed": True}, False),
        ({"size": None}, True),
        ({"size": None, "minimum": 96}, False),
        ({"size": 224, "minimum": 32}, True),
        ({"size": 224}, None),
    ],
)
def test_a_contract_tells_whether_64_pixels_are_taken(fields, takes):
    assert InputContract(**fields).takes(64) is takes


def test_a_contract_makes_a_grid_only_where_more_than_a_size_is_needed():
    assert InputContract().grid(64) == 64
    fitted = InputContract(None, fit="crop_or_pad", spacing=1.0)
    assert fitted.grid(64) == Grid(64, "crop_or_pad", 1.0)
