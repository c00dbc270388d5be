"""A network from a layer table: what it builds, and what it refuses."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
import torch
from torch import nn

from mritk import Unavailable, UsageError
from mritk.registry import Registry
from mritk_table_cnn import build_reconstruction
from mritk_table_cnn.layer_table import LayerTable, read_table
from mritk_table_cnn.network import build

TABLE = """
summary = "two blocks"
layers = [["conv", 8, 5, 2], ["max_pool", 2], ["dropout", 0.25], ["conv", 12, 3], ["dense", 20]]
"""


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


def test_rows_become_layers_in_order():
    network = build(LayerTable.parse(TABLE, "t.toml"))
    assert [type(layer) for layer in network] == [
        *(nn.Conv2d, nn.BatchNorm2d, nn.ReLU),
        *(nn.MaxPool2d, nn.Dropout),
        *(nn.Conv2d, nn.BatchNorm2d, nn.ReLU),
        *(nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear, nn.ReLU),
    ]
    first, second = (layer for layer in network if isinstance(layer, nn.Conv2d))
    assert (first.kernel_size, first.stride, first.padding) == ((5, 5), (2, 2), (2, 2))
    assert (second.kernel_size, second.stride, second.padding) == ((3, 3), (1, 1), (1, 1))
    assert network(torch.zeros(2, 3, 40, 40)).shape == (2, 20)


def test_the_reconstruction_has_as_many_values_as_its_table_says():
    """k² · in · out for each convolution, two for each channel of BatchNorm."""
    widths = (3, 32, 64, 128, 128, 256)
    convolutions = sum(9 * a * b for a, b in pairwise(widths))
    expected = convolutions + 2 * sum(widths[1:])
    assert sum(p.numel() for p in build_reconstruction().parameters()) == expected == 536_608


def test_what_it_is_stands_in_listings(registry):
    summary = registry.backbone("table_cnn").architecture.summary
    assert "a reconstruction" in summary


def test_a_table_of_ones_own_is_named_after_its_file_and_digest(registry, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TABLE)
    digest = hashlib.sha256(TABLE.encode()).hexdigest()[:8]
    backbone = registry.backbone(f"table_cnn:{path}")
    assert backbone.name == f"table_cnn:mine.toml#{digest}@scratch"
    assert str(tmp_path) not in str(backbone.identity), "a path means nothing elsewhere"
    path.write_text(TABLE.replace("20", "24"))
    assert registry.backbone(f"table_cnn:{path}").identity != backbone.identity


def test_the_name_in_a_trial_file_finds_the_table_again_and_no_other(registry, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TABLE)
    name = read_table(path).digest
    assert registry.backbone(f"table_cnn:{path}#{name}").name.endswith(f"#{name}@scratch")
    with pytest.raises(Unavailable, match="is not the table 00000000"):
        registry.backbone(f"table_cnn:{path}#00000000")


def test_a_file_that_is_not_there_is_named(registry, tmp_path):
    with pytest.raises(Unavailable, match=r"no layer table .*nowhere\.toml; give the path"):
        registry.backbone(f"table_cnn:{tmp_path / 'nowhere.toml'}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers = [", "t.toml is not valid TOML"),
        ("layer = []", "unknown key 'layer'; known are summary, layers"),
        ("summary = 'x'", "layers must list rows"),
        ("layers = []", "layers must list rows"),
        ("layers = [['conv', 8, 3], ['pool', 2]]", r"row 2: begins with one of conv, max_pool"),
        ("layers = ['conv']", "row 1: begins with one of"),
        ("layers = [['conv', 8]]", r"row 1: conv takes channels, kernel, stride, not \[8\]"),
        ("layers = [['conv', 8, 3, 1, 1]]", "row 1: conv takes"),
        ("layers = [['conv', 0, 3]]", "row 1: channels must be a whole number from 1, not 0"),
        ("layers = [['conv', 8, 2.5]]", "row 1: kernel must be a whole number"),
        ("layers = [['conv', true, 3]]", "row 1: channels must be a whole number"),
        ("layers = [['conv', 8, 3], ['dropout', 1]]", "row 2: share must be from 0 to below 1"),
        ("layers = [['dense', 8]]", "there is no conv"),
        ("layers = [['dense', 8], ['conv', 8, 3]]", "conv stands after dense"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_row(text, message):
    with pytest.raises(UsageError, match=message):
        LayerTable.parse(text, "t.toml")
