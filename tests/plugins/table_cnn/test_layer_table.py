"""A layer table becomes the network that it describes, or an error that names file, row and key."""

from __future__ import annotations

import re
from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from torch import nn

from mritk.errors import UsageError
from mritk_table_cnn import build_reconstruction
from mritk_table_cnn.layer_table import parse_table
from mritk_table_cnn.layers import KINDS
from mritk_table_cnn.network import build

CONV = '{ layer = "conv", channels = 4 }'


def table(*rows):
    return parse_table("layers = [\n" + ",\n".join(rows) + "\n]\n", "mine.toml")


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


# -- what is built ---------------------------------------------------------------------------------


def test_each_row_is_the_layer_that_torch_has():
    """The same layers by hand, with the same weights, give the same features."""
    found = build(
        table(
            '{ layer = "conv", channels = 8, kernel = 5, stride = 2, batch_norm = true }',
            '{ layer = "max_pool", size = 3, stride = 2 }',
            '{ layer = "dropout", rate = 0.5 }',
            '{ layer = "conv", channels = 6, padded = false }',
            '{ layer = "average_pool", size = 2 }',
            '{ layer = "dense", width = 10 }',
            '{ layer = "dropout", rate = 0.25 }',
            '{ layer = "dense", width = 5 }',
        )
    )
    expected = nn.Sequential(
        *(nn.Conv2d(3, 8, 5, 2, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.MaxPool2d(3, 2), nn.Dropout2d(0.5), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10), nn.ReLU(), nn.Dropout(0.25)),
        *(nn.Linear(10, 5), nn.ReLU()),
    )
    state = dict(zip(expected.state_dict(), found.state_dict().values(), strict=True))
    expected.load_state_dict(state)
    images = torch.rand(3, 3, 41, 33, generator=torch.Generator().manual_seed(0))
    for network in (found, expected):
        torch.manual_seed(1)  # dropout in training mode draws the same
        network.train()
    for training in (True, False):
        seen = []
        for network in (found, expected):
            torch.manual_seed(1)
            seen.append(network.train(training)(images))
        torch.testing.assert_close(*seen)
    assert seen[0].shape == (3, 5)


def test_without_a_dense_layer_the_features_are_the_pooled_channels():
    network = build(table(CONV, '{ layer = "conv", channels = 7 }'))
    assert network(torch.zeros(2, 3, 9, 9)).shape == (2, 7)
    assert parameters(network) == (3 * 4 * 9 + 4) + (4 * 7 * 9 + 7)


def test_the_own_network_is_small_and_says_that_it_is_a_reconstruction():
    network = build_reconstruction()
    widths = (3, 32, 64, 128, 128, 256)
    expected = sum(9 * a * b + 2 * b for a, b in pairwise(widths))
    assert parameters(network) == expected == 536_608
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 256)


def test_listings_say_that_it_is_a_reconstruction(mritk):
    listed = mritk("list", "backbones").out.splitlines()
    assert any("table_cnn@scratch" in line and "reconstruction" in line for line in listed)
    assert "reconstruction" in mritk("show", "table_cnn").out


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{ layer = "convolution" }', "row 2, layer: unknown kind 'convolution'; did you mean"),
        ("{ layer = 3 }", "row 2, layer: unknown kind 3; known are conv, max_pool"),
        ("{ channels = 3 }", "row 2: layer is missing; expected one of conv,"),
        ('"conv"', "row 2: layer is missing"),
        ('{ layer = "conv" }', "row 2, channels: missing; required for conv"),
        ('{ layer = "conv", channel = 3 }', "row 2, channel: unknown key; did you mean 'channels'"),
        ('{ layer = "conv", channels = 0 }', "row 2, channels: must be at least 1, not 0"),
        ('{ layer = "conv", channels = 2.5 }', "row 2, channels: must be an integer, not 2.5"),
        ('{ layer = "conv", channels = true }', "row 2, channels: must be an integer"),
        ('{ layer = "conv", channels = 2, batch_norm = 1 }', "batch_norm: must be true or false"),
        ('{ layer = "max_pool", size = "2" }', "row 2, size: must be an integer, not '2'"),
        ('{ layer = "average_pool", stride = -1 }', "row 2, stride: must be at least 0, not -1"),
        ('{ layer = "dropout", rate = 1 }', "row 2, rate: must be below 1, not 1"),
        ('{ layer = "dropout", rate = nan }', "row 2, rate: must be at least 0, not nan"),
        ('{ layer = "dense", width = 2, kernel = 3 }', "row 2, kernel: unknown key"),
    ],
)
def test_a_wrong_row_is_named_with_its_key(row, told):
    with pytest.raises(UsageError, match=r"^mine\.toml, ") as refused:
        table(CONV, row)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("layers = [", "mine.toml is not valid TOML"),
        ("", "mine.toml: layers must be a list with one row per layer, such as"),
        ("layers = []", "layers must be a list"),
        ("layers = 3", "layers must be a list"),
        ('layer = [{ layer = "conv" }]', "unknown key 'layer'; did you mean 'layers'?"),
        ('layers = [{ layer = "dense", width = 2 }]', "layers has no conv"),
        (f"layers = [{CONV}]\nsummary = 3", "summary must be a string, not 3"),
    ],
)
def test_what_is_no_table_is_refused(text, told):
    with pytest.raises(UsageError) as refused:
        parse_table(text, "mine.toml")
    assert told in str(refused.value)


@pytest.mark.parametrize("row", [CONV, '{ layer = "max_pool" }', '{ layer = "average_pool" }'])
def test_pixels_are_gone_behind_a_dense_layer(row):
    with pytest.raises(UsageError, match="row 3, layer: follows a dense layer"):
        table(CONV, '{ layer = "dense", width = 3 }', row)


def test_the_documented_table_is_one_and_every_key_is_described(request):
    page = (request.config.rootpath / "docs" / "resource_efficient.md").read_text("utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    network = build(parse_table(text, "mine.toml"))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 128)
    for name, kind in KINDS.items():
        (row,) = [
            line for line in page.splitlines() if line.startswith("| `") and f"`{name}`" in line
        ]
        assert all(f"`{member.name}`" in row for member in fields(kind))
