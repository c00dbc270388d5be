"""Trainings that diverge, that clip, or whose batches are too small or odd."""

from __future__ import annotations

import math

import pytest
import torch

from mritk import Augmentation
from mritk.errors import HookError, NonFiniteLoss, UsageError
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


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            lambda images: None,
            r"returned NoneType for a batch of torch.float32 \(8, ",
        ),
        (lambda images: images.double(), r"returned torch.float64 \(8, 1, 16, 16\) on cpu for"),
        (lambda images: images[:, :, 1:], r"returned torch.float32 \(8, 1, 15, 16\) on cpu for"),
        (lambda images: images.squeeze_(1), r"returned torch.float32 \(8, 16, 16\) on cpu for a"),
        (
            lambda images: images.log(),
            "returned pixels that are NaN or infinite at step 1",
        ),
    ],
)
def test_an_augmentation_that_returns_no_finite_batch_of_its_kind_is_named(
    make_setup, changed, told
):
    broken = Augmentation("broken", lambda images, generator: changed(images))
    with pytest.raises(HookError, match=rf"^augmentation broken of .* {told}"):
        finetune(make_setup(stage(), augmentation=broken))


def test_a_nan_that_an_augmentation_makes_now_and_then_is_no_matter_of_the_learning_rate(
    make_setup,
):
    def rarely(images, generator):
        spoilt = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.03
        return images.masked_fill(spoilt, math.nan)

    with pytest.raises(HookError, match=r"NaN or infinite at step \d+ of epoch \d+; it must"):
        finetune(make_setup(stage(epochs=9), augmentation=Augmentation("rarely", rarely)))


def test_a_training_that_diverges_is_not_blamed_on_its_augmentation(make_setup):
    fine = Augmentation("fine", lambda images, generator: images / 2)
    recipe = stage(epochs=3, optimizer="sgd", learning_rate=1e30, schedule="constant")
    with pytest.raises(NonFiniteLoss, match="lower the learning rate"):
        finetune(make_setup(recipe, augmentation=fine))


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
