"""What a training held is free when it is over: the next one needs the memory."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from mritk.protocol.recipe import Stage
from mritk.train.loop import finetune
from mritk.train.memory import estimate_memory


@pytest.fixture
def without_collector():
    """Whatever is freed is freed by itself: the garbage collector may not come for hours."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def tensors_of(network):
    """A graph of autograd may keep tensors whose module is gone."""
    return [weakref.ref(t) for t in (*network.parameters(), *network.buffers())]


STAGES = {
    "whole": (Stage(epochs=2),),
    "head on cached features": (Stage(epochs=2, train_last=0.0),),
    "head, then whole": (Stage(epochs=1, train_last=0.0), Stage(epochs=1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("stages", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("head_start", ["random", "probe"])
def test_the_network_is_gone_with_its_training(
    make_setup, unseen, without_collector, stages, head_start
):
    training = finetune(make_setup(*stages, recipe={"head_start": head_start}))
    training.predict(unseen)
    assert training.model_cost
    alive = tensors_of(training.network)
    del training
    assert not any(reference() is not None for reference in alive)


@pytest.mark.slow
def test_the_forecast_of_memory_keeps_nothing(without_collector):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Sigmoid())
    estimate_memory(network, network, torch.rand(2, 3, 16, 16), optimizer="adamw")
    alive = tensors_of(network)
    del network
    assert not any(reference() is not None for reference in alive)
