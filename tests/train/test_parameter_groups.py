"""What is decayed, at which rate each parameter learns, and the penalties of the head."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.model.network import Network, build_head
from mritk.protocol.recipe import Head, HiddenLayer, Recipe, Stage
from mritk.train.optimiser import build_optimiser


def network():
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    return Network(backbone, nn.Sequential(nn.Linear(2, 2)))


def stage(**changes):
    return Stage(**{"epochs": 1, "learning_rate": 1e-2, **changes})


def group_of(optimiser, parameter):
    return next(
        group for group in optimiser.param_groups if any(p is parameter for p in group["params"])
    )


def test_head_and_backbone_have_rates_of_their_own():
    model = network()
    optimiser = build_optimiser(model, stage(backbone_learning_rate=1e-4))
    assert group_of(optimiser, model.head[0].weight)["lr"] == 1e-2
    assert group_of(optimiser, model.head[0].bias)["lr"] == 1e-2
    assert group_of(optimiser, model.backbone[0].weight)["lr"] == 1e-4


def test_a_backbone_rate_of_zero_means_the_rate_of_the_head():
    assert {group["lr"] for group in build_optimiser(network(), stage()).param_groups} == {1e-2}


def test_weight_decay_spares_biases_and_norms():
    model = network()
    optimiser = build_optimiser(model, stage(weight_decay=0.1))
    decayed = [model.backbone[0].weight, model.head[0].weight]
    spared = [model.backbone[0].bias, *model.backbone[1].parameters(), model.head[0].bias]
    assert [group_of(optimiser, parameter)["weight_decay"] for parameter in decayed] == [0.1, 0.1]
    assert {group_of(optimiser, parameter)["weight_decay"] for parameter in spared} == {0.0}


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 1, 4)], ids=["layer scale", "class token"])
def test_weight_decay_spares_scales_and_tokens_however_they_are_shaped(shape):
    """torchvision's ConvNeXt writes its layer scale as (C, 1, 1); it is a vector all the same."""
    model = network()
    model.backbone.vector = nn.Parameter(torch.ones(shape))
    optimiser = build_optimiser(model, stage(weight_decay=0.1))
    assert group_of(optimiser, model.backbone.vector)["weight_decay"] == 0.0


@pytest.mark.parametrize(
    "module", [nn.Embedding(4, 2), nn.LayerNorm((2, 3, 3)), nn.RMSNorm((2, 3))], ids=repr
)
def test_weight_decay_spares_embeddings_and_norms_of_several_dimensions(module):
    """CLIP and SigLIP look their position embeddings up in a table."""
    model = network()
    model.backbone.append(module)
    optimiser = build_optimiser(model, stage(weight_decay=0.1))
    assert group_of(optimiser, module.weight)["weight_decay"] == 0.0
    assert group_of(optimiser, model.backbone[0].weight)["weight_decay"] == 0.1


def test_frozen_parameters_are_not_given_to_the_optimiser():
    model = network()
    model.backbone.requires_grad_(False)
    held = {p for group in build_optimiser(model, stage()).param_groups for p in group["params"]}
    assert held == set(model.head.parameters())


def test_each_trainable_parameter_is_given_once():
    model = network()
    optimiser = build_optimiser(model, stage(backbone_learning_rate=1e-4, weight_decay=0.1))
    held = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(held) == len(set(held)) == len(list(model.parameters()))


# -- penalties of the head -------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_l2_of_a_hidden_layer_is_the_gradient_of_its_penalty_in_the_loss(optimiser):
    """One step with ``l2`` equals one in which ``l2 · ‖W‖²`` was added to the loss by hand."""
    layout = Head(hidden=(HiddenLayer(3, l2=0.3), HiddenLayer(2)))

    def stepped(layout, penalty):
        torch.manual_seed(0)
        net = Network(nn.Linear(4, 4), build_head(4, 2, layout))
        one = build_optimiser(net, stage(optimizer=optimiser, weight_decay=0.0))
        loss = net(torch.ones(5, 4)).square().mean()
        if penalty:
            loss = loss + penalty * net.head[0].weight.square().sum()
        loss.backward()
        one.step()
        return net.state_dict()

    plain = Head(hidden=(HiddenLayer(3), HiddenLayer(2)))
    by_hand, built_in = stepped(plain, 0.3), stepped(layout, 0.0)
    without = stepped(plain, 0.0)
    for name, tensor in by_hand.items():
        torch.testing.assert_close(built_in[name], tensor)
    assert not torch.equal(without["head.0.weight"], by_hand["head.0.weight"])


def test_l2_needs_an_optimiser_whose_decay_is_that_of_the_loss():
    with pytest.raises(ValueError, match="needs the optimizer adam or sgd"):
        Recipe(stages=(stage(),), head=Head(hidden=(HiddenLayer(3, l2=0.1),)))
    Recipe(stages=(stage(optimizer="adam"),), head=Head(hidden=(HiddenLayer(3, l2=0.1),)))
