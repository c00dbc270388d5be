"""A head that trains alone, on images that stay as they are, trains on features computed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mritk import Augmentation
from mritk.protocol.recipe import Head, Stage
from mritk.train.loop import finetune

IDENTITY = Augmentation("identity", lambda images, generator: images)
HEAD = Stage(3, "head", train_last=0.0, learning_rate=1e-2)
ALL = Stage(1, "all", learning_rate=1e-3)


@pytest.fixture
def passes(monkeypatch):
    """Count the images that go through backbones, in training and in evaluation mode."""
    seen = {"training": 0, "evaluation": 0}
    call = nn.Conv2d.forward

    def count(self, images):
        if self.in_channels == 3 and not images.is_meta:
            mode = "training" if torch.is_grad_enabled() else "evaluation"
            seen[mode] += len(images)
        return call(self, images)

    monkeypatch.setattr(nn.Conv2d, "forward", count)
    return seen


@pytest.mark.parametrize("recipe", [{}, {"head": Head(dropout=0.3), "average": 0.9}])
def test_the_scores_are_those_of_training_on_images(make_setup, unseen, recipe):
    """An augmentation that changes nothing goes the long way."""
    short = finetune(make_setup(HEAD, ALL, recipe=recipe))
    long = finetune(make_setup(HEAD, ALL, recipe=recipe, augmentation=IDENTITY))
    np.testing.assert_allclose(short.predict(unseen), long.predict(unseen), atol=1e-4)
    for name, tensor in short.network.state_dict().items():
        torch.testing.assert_close(tensor, long.network.state_dict()[name], atol=1e-4, rtol=1e-3)


def test_the_backbone_sees_each_image_once_however_many_epochs_there_are(make_setup, passes):
    finetune(make_setup(HEAD))
    counted = dict(passes)
    finetune(make_setup(Stage(9, "head", train_last=0.0, learning_rate=1e-2)))
    assert passes["evaluation"] - counted["evaluation"] <= 1, "the second training finds them kept"
    assert passes["training"] - counted["training"] == counted["training"], (
        "and neither trains a backbone: memory alone is foreseen with a few images"
    )


@pytest.mark.slow
def test_an_augmentation_or_mixing_or_a_trained_backbone_needs_the_images(make_setup, passes):
    for setup in (
        make_setup(HEAD, augmentation=IDENTITY),
        make_setup(HEAD, recipe={"mixup": 0.2}),
        make_setup(ALL, Stage(1, "head again", train_last=0.0)),
    ):
        before = dict(passes)
        finetune(setup)
        assert passes["training"] - before["training"] >= 40


def test_the_batch_norm_of_a_frozen_backbone_stays_and_that_of_the_head_learns(make_setup):
    fitted = finetune(make_setup(HEAD, recipe={"head": Head(batch_norm=True)}))
    changed = fitted.notes["changed_tensors"]["head"]
    assert changed
    assert all(name.startswith("head.") for name in changed)
    assert "head.0.running_mean" in changed
