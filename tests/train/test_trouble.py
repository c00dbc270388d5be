"""Trainings that diverge, that clip, or whose batches are too small or odd."""

from __future__ import annotations

import math

import pytest
import torch

from mritk.errors import NonFiniteLoss, UsageError
from mritk.protocol.recipe import Head, Stage
from mritk.train.loop import finetune
from tests.training_fixtures import KeepsGrid


def stage(**changes):
    return Stage(**{"epochs": 2, "learning_rate": 1e-2, **changes})


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_training_that_diverges_is_an_error_that_names_epoch_and_rate(make_setup, optimizer):
    recipe = stage(epochs=3, optimizer=optimizer, learning_rate=1e30, schedule="constant")
    with pytest.raises(NonFiniteLoss, match=r"epoch 1 \(learning rate 1e\+30"):
        finetune(make_setup(recipe))


def test_a_diverged_epoch_is_not_announced(make_setup):
    epochs = []
    recipe = stage(optimizer="sgd", learning_rate=1e30, schedule="constant")
    with pytest.raises(NonFiniteLoss):
        finetune(make_setup(recipe, on_epoch=epochs.append))
    assert epochs == []


def test_gradient_clipping_limits_the_step(record):
    plain = {"optimizer": "sgd", "schedule": "constant", "epochs": 1, "weight_decay": 0.0}
    trained = record(
        stage(**plain, learning_rate=1.0), recipe={"gradient_clip": 1e-4, "batch_size": 40}
    )
    moved = sum(
        float((trained.states[0][name] - trained.start[name]).square().sum())
        for name, _ in trained.training.network.named_parameters()
    )
    # One step of Nesterov momentum from rest is 1.9 times the gradient.
    assert math.sqrt(moved) == pytest.approx(1.9e-4, rel=1e-2)


def test_gradient_clipping_counts_the_gradients_of_this_stage_alone(record, monkeypatch):
    """A part that trained in an earlier stage must not eat up the limit with old gradients."""
    real, norms = torch.nn.utils.clip_grad_norm_, []

    def spy(parameters, limit):
        parameters = list(parameters)
        trained = [p.grad for p in parameters if p.requires_grad and p.grad is not None]
        expected = torch.stack([g.norm() for g in trained]).norm()
        norm = real(parameters, limit)
        norms.append((float(norm), float(expected)))
        return norm

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    record(stage(epochs=1), stage(epochs=1, train_last=0.0), recipe={"gradient_clip": 100.0})
    for norm, expected in norms:
        assert norm == pytest.approx(expected, rel=1e-5)


def test_a_training_part_smaller_than_a_batch_is_one_batch(record):
    assert len(record(stage(epochs=2), recipe={"batch_size": 64}).epochs) == 2


def test_a_network_that_keeps_a_grid_from_its_first_batch_is_trained(make_setup, unseen):
    assert finetune(make_setup(build=KeepsGrid)).predict(unseen).shape == (12, 2)


def test_a_last_batch_of_one_image_is_refused_where_batch_norm_learns_with_what_helps(make_setup):
    """40 images in batches of 13 leave one."""
    recipe = {"head": Head(batch_norm=True), "batch_size": 13}
    with pytest.raises(UsageError, match="last_batch at 'rollover'"):
        finetune(make_setup(stage(epochs=1), recipe={**recipe, "last_batch": "keep"}))
    finetune(make_setup(stage(epochs=1), recipe=recipe))
