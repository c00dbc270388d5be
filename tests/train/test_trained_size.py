"""How many values were trained: those of tensors that changed; of LoRA, the factors."""

from __future__ import annotations

import pytest
from torch import nn

from mritk.protocol.recipe import Stage
from mritk.train.loop import finetune

CONVOLUTIONS = (3 * 6 * 9 + 6) + 2 * 6, (6 * 8 * 9 + 8) + 2 * 8
HEAD = 16 * 2 + 2


def cost(training):
    return training.model_cost


@pytest.mark.parametrize(
    "stages, trained",
    [
        ((Stage(epochs=1, train_last=0),), HEAD),
        ((Stage(epochs=1),), sum(CONVOLUTIONS) + HEAD),
        ((Stage(epochs=1, train_last=0), Stage(epochs=1, name="all")), sum(CONVOLUTIONS) + HEAD),
        ((Stage(epochs=1, batch_norm="frozen"),), sum(CONVOLUTIONS) - 2 * (6 + 8) + HEAD),
    ],
    ids=["head", "all", "both", "frozen norms"],
)
def test_values_in_tensors_that_changed_count_once(make_setup, stages, trained):
    found = cost(finetune(make_setup(*stages)))
    assert found["parameters"] == sum(CONVOLUTIONS) + HEAD
    assert found["trained_parameters"] == trained


def build_linear():
    return nn.Sequential(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Linear(6, 10), nn.ReLU())


def test_of_low_rank_updates_the_factors_count(make_setup):
    stage = Stage(epochs=1, tune="lora", lora_rank=2)
    training = finetune(make_setup(stage, build=build_linear))
    assert cost(training)["trained_parameters"] == 2 * (6 + 10) + (10 * 2 + 2)
    assert cost(training)["parameters"] == 6 * 10 + 10 + 10 * 2 + 2, "they are merged"


def test_the_operations_are_those_of_backbone_and_head(make_setup):
    flops = 2 * (3 * 6 * 9 * 8**2 + 6 * 8 * 9 * 4**2 + 16 * 2)
    assert cost(finetune(make_setup(Stage(epochs=1))))["flops"] == flops
