"""``small_cnn``: the smallest backbone."""

from __future__ import annotations

import pickle

import pytest
import torch

import mritk_small_cnn
from mritk.backbone import Backbone
from mritk.files.workspace import Workspace
from mritk.model.backbone import load_backbone
from mritk.plugins.registry import Registry
from mritk.records import Architecture, Origin


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register(mritk_small_cnn, Origin("small_cnn"))
    return registry


@pytest.fixture
def backbone(registry: Registry) -> Backbone:
    return registry.backbone("small_cnn")


@pytest.fixture
def volumes(registry: Registry) -> Backbone:
    return registry.backbone("small_cnn3d")


def test_the_plain_name_starts_from_scratch_at_any_size(backbone: Backbone) -> None:
    assert backbone.name == "small_cnn@scratch"
    assert backbone.input.size is None
    assert backbone.input.channels == 3


@pytest.mark.parametrize("size", [32, 96, 225])
def test_any_size_from_32_pixels_gives_256_features(
    size: int, backbone: Backbone, tmp_path
) -> None:
    network = load_backbone(backbone, Workspace(tmp_path), seed=0, size=size).network

    assert network(torch.zeros(2, 3, size, size)).shape == (2, 256)


def test_it_is_as_large_as_its_description_says(backbone: Backbone) -> None:
    count = sum(parameter.numel() for parameter in backbone.architecture.build().parameters())

    assert f"{count:,} trainable values" in " ".join((mritk_small_cnn.__doc__ or "").split())


def test_the_four_blocks_are_its_stages(backbone: Backbone, tmp_path) -> None:
    loaded = load_backbone(backbone, Workspace(tmp_path), seed=0)

    first_of_each = [stage.tensors[0] for stage in loaded.stages if "0.weight" in stage.tensors[0]]
    assert len(first_of_each) == 4


def test_the_seed_decides_the_start(backbone: Backbone, tmp_path) -> None:
    first, same, other = (
        load_backbone(backbone, Workspace(tmp_path), seed=seed).network.state_dict()["0.0.weight"]
        for seed in (0, 0, 1)
    )

    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_gradient_reaches_the_first_layer(backbone: Backbone) -> None:
    network = backbone.architecture.build()

    network(torch.randn(2, 3, 32, 32)).sum().backward()

    weight = next(network.parameters())
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_the_records_can_be_sent_to_another_process() -> None:
    for record in mritk_small_cnn.mritk_backbones():
        assert isinstance(pickle.loads(pickle.dumps(record)), Architecture)


@pytest.mark.parametrize("sides", [(16, 16, 16), (48, 48, 48), (33, 17, 40)])
def test_volumes_of_any_size_from_16_voxels_give_128_features(
    volumes: Backbone, sides: tuple[int, int, int], tmp_path
) -> None:
    network = load_backbone(volumes, Workspace(tmp_path), seed=0, size=sides).network

    assert volumes.architecture.spatial_dims == 3
    assert network(torch.zeros(2, 1, *sides)).shape == (2, 128)


def test_the_stem_and_the_residual_blocks_are_the_stages_of_the_3d_network(
    volumes: Backbone, tmp_path
) -> None:
    loaded = load_backbone(volumes, Workspace(tmp_path), seed=0)

    assert [stage.name for stage in loaded.stages] == [
        "stem", "block 1", "block 2", "block 3", "block 4"
    ]  # fmt: skip
