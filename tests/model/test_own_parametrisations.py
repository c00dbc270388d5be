"""Linear layers that a network has parametrised itself stay so, beside those that LoRA updates."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from mritk.model.lora import merge_adapters, merged_state
from mritk.protocol.recipe import Stage

OWN = {
    "orthogonal": parametrizations.orthogonal,
    "spectral_norm": parametrizations.spectral_norm,
    "weight_norm": parametrizations.weight_norm,
}


@pytest.fixture(params=OWN)
def build(request):
    """Build two linear layers, of which the first is parametrised."""

    def network():
        own = OWN[request.param](nn.Linear(6, 8))
        return nn.Sequential(
            nn.Conv2d(3, 6, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), own, nn.Linear(8, 5)
        )

    return network


def stage(name, **changes):
    return Stage(**{"name": name, "epochs": 1, "learning_rate": 1e-2, **changes})


def originals(state):
    return {name for name in state if ".parametrizations.weight.original" in name}


@pytest.mark.parametrize("tune", ["all", "lora"])
def test_they_train_in_every_stage_that_trains_all(record, build, tune):
    trained = record(stage("first", tune=tune), stage("second"), stage("third"), build=build)
    assert list(trained.end) == list(trained.start)
    layer = trained.training.network.backbone[3]
    assert parametrize.is_parametrized(layer, "weight")
    changed = trained.fitted.notes["changed_tensors"]
    own = originals(trained.start)
    assert own
    assert own & set(changed["first"]) == (own if tune == "all" else set())
    assert own <= set(changed["second"])
    assert own <= set(changed["third"])
    assert "backbone.4.weight" in changed["first"]


def test_to_read_a_state_changes_nothing(build):
    """The spectral norm goes one step with each look at its weight in training."""
    network = build().train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    read = merged_state(network)
    merge_adapters(network)
    for found in (read, network.state_dict()):
        assert list(found) == list(state)
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
