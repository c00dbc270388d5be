"""``linear_pixels``: a linear model, as a backbone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mritk_small_cnn
from mritk.backbone import Backbone
from mritk.model.network import Network
from mritk.plugins.registry import Registry
from mritk.records import Origin
from mritk.testing.backbone import inspect_backbone


@pytest.fixture
def backbone() -> Backbone:
    registry = Registry()
    registry.register(mritk_small_cnn, Origin("small_cnn"))
    return registry.backbone("linear_pixels")


def test_features_are_means_over_channels_and_over_equal_cells(backbone: Backbone) -> None:
    images = torch.rand(2, 3, 96, 64)

    features = backbone.architecture.build()(images)

    cells = images.reshape(2, 3, 32, 3, 32, 2).mean(dim=(1, 3, 5))
    torch.testing.assert_close(features, cells.flatten(1))


def test_with_a_linear_head_it_is_a_linear_model(backbone: Backbone) -> None:
    network = Network(backbone.architecture.build(), nn.Sequential(nn.Linear(1024, 4))).double()
    one, other = torch.rand(2, 3, 3, 40, 40, dtype=torch.float64)

    middle = (network(one) + network(other)) / 2

    torch.testing.assert_close(network((one + other) / 2), middle)
    assert sum(p.numel() for p in network.parameters()) == 1024 * 4 + 4


@pytest.mark.parametrize("side", [1, 28, 33, 225])
def test_images_of_any_size_give_1024_features(side: int, backbone: Backbone) -> None:
    assert backbone.architecture.build()(torch.rand(1, 3, side, side)).shape == (1, 1024)


def test_it_keeps_what_backbones_promise_although_it_has_no_tensors(
    backbone: Backbone, workspace
) -> None:
    states = {verdict.check: verdict.state for verdict in inspect_backbone(backbone, workspace)}

    assert "failed" not in states.values()
    assert states["gradients reach every parameter"] == "n/a"
    assert states["state dict comes back whole"] == "n/a"
