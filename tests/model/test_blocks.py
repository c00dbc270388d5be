"""Blocks of a network: what ``train_last`` counts, and what freezing does to modules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk import Architecture, MritkError
from mritk.backbone import Backbone
from mritk.model.backbone import load_backbone
from mritk.model.blocks import (
    Block,
    blocks_of,
    default_blocks,
    last,
    layers_of,
    norm_tensors,
    set_trainable,
)


class Transformer(nn.Module):
    """Bare parameters, a nested Sequential and a plain block."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
            nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4)),
        )
        self.norm = nn.LayerNorm(4)


class ScaledSequential(nn.Sequential):
    """A Sequential with a tensor of its own, as layer scale is often written."""

    def __init__(self, *modules):
        super().__init__(*modules)
        self.scale = nn.Parameter(torch.ones(1))


def names(blocks):
    return [block.name for block in blocks]


def tensors(blocks):
    return sorted(tensor for block in blocks for tensor in block.tensors)


def test_default_blocks_are_the_top_level_modules_with_sequential_ones_unfolded():
    blocks = default_blocks(Transformer())
    assert names(blocks) == ["input", "stem", "blocks.0.0", "blocks.1.0", "blocks.1.2", "norm"]


def test_bare_parameters_of_the_network_stand_first():
    assert default_blocks(Transformer())[0] == Block("input", ("class_token",))


def test_modules_without_tensors_are_no_stages():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(1))
    assert names(default_blocks(network)) == ["0", "3"]


@pytest.mark.parametrize("divide", [default_blocks, layers_of])
@pytest.mark.parametrize(
    "build",
    [
        Transformer,
        lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)),
        lambda: nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))),
        lambda: nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ModuleList([nn.Linear(1, 1)])}),
        lambda: nn.Linear(2, 2),
        lambda: nn.BatchNorm2d(2),
    ],
)
def test_the_blocks_hold_every_tensor_exactly_once(build, divide):
    network = build()
    assert tensors(divide(network)) == sorted(network.state_dict())


@pytest.mark.parametrize("divide", [default_blocks, layers_of])
def test_a_sequential_with_a_tensor_of_its_own_loses_none(divide):
    network = nn.Sequential(ScaledSequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    assert tensors(divide(network)) == sorted(network.state_dict())


@pytest.mark.parametrize("wrappings", [1, 2])
def test_a_sequential_around_one_sequential_is_unfolded_too(wrappings):
    """Weight files that wrap the network once more must not turn it into one single block."""
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    for _ in range(wrappings):
        network = nn.Sequential(network)
    assert len(default_blocks(network)) == 3


def test_layers_are_modules_with_tensors_of_their_own_in_order_of_registration():
    assert names(layers_of(Transformer())) == [
        "input",
        "stem",
        "blocks.0.0",
        "blocks.1.0",
        "blocks.1.2",
        "norm",
    ]


def test_a_block_of_a_block_holds_its_buffers():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    assert set(default_blocks(network)[1].tensors) == {
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    }


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.0, ""),
        (0.01, "e"),
        (0.2, "e"),
        (0.21, "de"),
        (0.6, "cde"),
        (0.81, "abcde"),
        (1.0, "abcde"),
    ],
)
def test_the_last_fraction_is_rounded_up_to_whole_stages(fraction, expected):
    blocks = [Block(name, (name,)) for name in "abcde"]
    assert last(blocks, fraction) == frozenset(expected)


def test_rounding_is_not_fooled_by_binary_fractions():
    blocks = [Block(str(i), (str(i),)) for i in range(10)]
    for count in range(11):
        assert len(last(blocks, count / 10)) == count
    assert len(last(blocks, 0.1 + 0.2)) == 3


# -- declared blocks ---------------------------------------------------------------------------


def declared(*blocks):
    return Architecture("two", lambda: None, stages=lambda network: blocks)


def network_of_two():
    return nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)})


A, B = ["a.weight", "a.bias"], ["b.weight", "b.bias"]


def test_an_architecture_declares_its_own_blocks_in_its_own_order():
    blocks = blocks_of(network_of_two(), declared(("late", B), ("early", A)))
    assert names(blocks) == ["late", "early"]
    assert last(blocks, 0.5) == frozenset(A)


def test_without_a_declaration_the_default_blocks_are_taken():
    assert names(blocks_of(network_of_two(), Architecture("two", network_of_two))) == ["a", "b"]


@pytest.mark.parametrize(
    ("blocks", "culprit"),
    [
        ([("early", A), ("late", ["b.weight"])], "b.bias"),
        ([("early", A), ("late", [*B, "b.gamma"])], "b.gamma"),
        ([("early", [*A, "b.bias"]), ("late", B)], "repeated"),
        ([], "a.bias"),
    ],
    ids=["left out", "invented", "repeated", "none"],
)
def test_declared_blocks_must_hold_each_tensor_once(blocks, culprit):
    with pytest.raises(MritkError, match="exactly once") as caught:
        blocks_of(network_of_two(), declared(*blocks))
    assert culprit in str(caught.value)
    assert "two" in str(caught.value)


# -- freezing ----------------------------------------------------------------------------------


def test_only_trainable_parameters_want_a_gradient():
    network = Transformer()
    set_trainable(network, frozenset({"norm.weight", "class_token"}))
    assert {n for n, p in network.named_parameters() if p.requires_grad} == {
        "norm.weight",
        "class_token",
    }
    set_trainable(network, frozenset(network.state_dict()))
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_frozen_batch_norm_leaves_training_mode_and_its_neighbour_does_not():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1))
    set_trainable(network, frozenset(network.state_dict()) - norm_tensors(network))
    assert [module.training for module in network] == [True, False, True]


class NormAndActivation(nn.BatchNorm2d):
    """A norm with a child, as timm's BatchNormAct2d."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.ReLU()


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, NormAndActivation])
def test_a_batch_norm_that_trains_its_bias_alone_keeps_its_statistics(norm):
    network = nn.Sequential(nn.Conv2d(1, 2, 1), norm(2))
    set_trainable(network, frozenset({"0.bias", "1.bias"}))
    assert network.training
    assert not network[1].training
    set_trainable(network, frozenset(network.state_dict()))
    assert network[1].training


def test_norm_tensors_are_those_of_batch_norms_of_every_rank():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm3d(2, affine=False), nn.LayerNorm(2))
    own = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert norm_tensors(network) == {f"0.{name}" for name in own} | {
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    }


def test_dropout_goes_with_the_block_that_holds_it():
    network = nn.ModuleDict(
        {
            "frozen": nn.Sequential(nn.Linear(2, 2), nn.Dropout()),
            "trained": nn.Sequential(nn.Linear(2, 2), nn.Dropout()),
        }
    )
    set_trainable(network, frozenset({"trained.0.weight", "trained.0.bias"}))
    assert not network["frozen"][1].training
    assert network["trained"][1].training


def test_dropout_between_two_frozen_layers_of_one_sequential_makes_no_noise():
    """In a flat Sequential all layers share their parent; that must not wake frozen dropout."""
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2), nn.Linear(2, 2))
    set_trainable(network, frozenset({"3.weight", "3.bias"}))
    assert not network[1].training


def test_dropout_in_a_container_without_tensors_still_works_when_all_is_trained():
    """A pooling-and-dropout block holds no tensor, and drops all the same."""
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Dropout()))
    set_trainable(network, frozenset(network.state_dict()))
    assert network[1][1].training


def test_a_parameter_that_the_network_holds_fixed_is_known_before_anything_is_frozen(workspace):
    """Sine-cosine position embeddings are parameters without gradient by construction."""

    def build():
        network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
        network[2].position = nn.Parameter(torch.ones(1, 4), requires_grad=False)
        return network

    loaded = load_backbone(Backbone(Architecture("net", build)), workspace, seed=0)
    assert loaded.fixed == {"2.position"}
