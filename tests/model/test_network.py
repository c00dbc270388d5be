"""The head that stands on the features."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.model.network import Network, build_head, penalty
from mritk.protocol.recipe import Head, HiddenLayer


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


def test_batch_norm_of_the_head_as_keras_has_it():
    """moving ← 0.99 moving + 0.01 batch, and ε = 1e-3, against the formula."""
    layout = Head(batch_norm=True, batch_norm_momentum=0.01, batch_norm_epsilon=1e-3)
    norm = build_head(3, 2, layout)[0]
    batch = torch.rand((8, 3), generator=torch.Generator().manual_seed(0)) * 0.1
    seen = norm(batch)
    variance = batch.var(dim=0, correction=0)
    torch.testing.assert_close(seen, (batch - batch.mean(dim=0)) / (variance + 1e-3).sqrt())
    torch.testing.assert_close(norm.running_mean, 0.01 * batch.mean(dim=0))
    # torch keeps the unbiased variance, n / (n - 1) times that of Keras.
    torch.testing.assert_close(norm.running_var, 0.99 + 0.01 * variance * 8 / 7)


def test_glorot_draws_weights_within_its_limit_and_sets_biases_to_zero():
    torch.manual_seed(0)
    layout = Head(hidden=(HiddenLayer(300),), initialisation="glorot")
    for layer in build_head(100, 200, layout):
        if isinstance(layer, nn.Linear):
            limit = (6 / (layer.in_features + layer.out_features)) ** 0.5
            weight = layer.weight.detach()
            assert 0.99 * limit < float(weight.abs().max()) <= limit
            # The standard deviation of a uniform draw within ± limit.
            assert abs(float(weight.std()) * 3**0.5 / limit - 1) < 0.02
            assert not layer.bias.detach().any()


def test_the_penalty_is_that_of_the_hidden_layers_that_have_one():
    layout = Head(hidden=(HiddenLayer(4, l2=0.5), HiddenLayer(3), HiddenLayer(2, l2=0.1)))
    network = Network(nn.Identity(), build_head(5, 2, layout))
    linears = [layer.weight.detach() for layer in network.head if isinstance(layer, nn.Linear)]
    first, third = linears[0], linears[2]
    expected = 0.5 * float((first**2).sum()) + 0.1 * float((third**2).sum())
    assert penalty(network) == pytest.approx(expected, rel=1e-6)
    assert penalty(Network(nn.Identity(), build_head(5, 2, Head()))) == 0
