"""The head that stands on the features."""

from __future__ import annotations

import torch
from torch import nn

from mritk.train.network import Network, build_head
from mritk.train.recipe import Head, HiddenLayer


def kinds(head):
    return [type(layer).__name__ for layer in head]


def test_the_plain_head_is_one_linear_layer():
    head = build_head(5, 3, Head())
    assert kinds(head) == ["Linear"]
    assert head(torch.zeros(2, 5)).shape == (2, 3)


def test_the_published_head_of_two_hidden_layers():
    """BatchNorm, 512 with ReLU and dropout 0.5, 256 with ReLU and dropout 0.4, output."""
    layout = Head(batch_norm=True, hidden=(HiddenLayer(512, 0.5), HiddenLayer(256, 0.4)))
    head = build_head(1024, 4, layout)
    layer = ["Linear", "ReLU", "Dropout"]
    assert kinds(head) == ["BatchNorm1d", *layer, *layer, "Linear"]
    assert [m.p for m in head if isinstance(m, nn.Dropout)] == [0.5, 0.4]
    widths = [(m.in_features, m.out_features) for m in head if isinstance(m, nn.Linear)]
    assert widths == [(1024, 512), (512, 256), (256, 4)]


def test_dropout_before_the_output_stands_where_it_is_asked_for():
    assert kinds(build_head(5, 3, Head(dropout=0.2))) == ["Dropout", "Linear"]


def test_tensors_of_a_network_are_named_after_backbone_and_head():
    network = Network(nn.Linear(4, 5), build_head(5, 3, Head()))
    assert set(network.state_dict()) == {
        "backbone.weight",
        "backbone.bias",
        "head.0.weight",
        "head.0.bias",
    }
    assert network(torch.zeros(2, 4)).shape == (2, 3)
