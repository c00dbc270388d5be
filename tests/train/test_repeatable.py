"""Fine-tuning repeats itself bit for bit, and its predictions depend on each image alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from mritk import (
    Augmentation,
    Subset,
)
from mritk.method import SelectionRule
from mritk.protocol.recipe import Head, HiddenLayer, Stage
from mritk.train.loop import finetune

LAST = SelectionRule(on="last")


def stage(**changes):
    return Stage(**{"epochs": 2, "learning_rate": 1e-2, **changes})


def state_of(fitted):
    return {name: tensor.clone() for name, tensor in fitted.network.state_dict().items()}


def assert_same(one, other):
    assert all(torch.equal(one[name], other[name]) for name in one)


def noise(images, generator):
    return (images + 0.1 * torch.rand(images.shape, generator=generator)).clamp(0, 1)


NOISE = Augmentation("noise", noise)


DROPOUT = {"head": Head(hidden=(HiddenLayer(8, 0.5),), dropout=0.5)}


# -- repeatability -----------------------------------------------------------------------------


def test_one_seed_gives_one_model_whatever_was_drawn_before(make_setup, unseen):
    setup = make_setup(recipe=DROPOUT, augmentation=NOISE)
    torch.manual_seed(1)
    first = finetune(setup)
    random.seed(2)
    np.random.seed(3)
    torch.rand(1000)
    second = finetune(setup)
    assert_same(state_of(first), state_of(second))
    np.testing.assert_array_equal(first.predict(unseen), second.predict(unseen))


def test_another_seed_gives_another_model(make_setup):
    one, other = (state_of(finetune(make_setup(seed=seed))) for seed in (0, 1))
    assert not torch.equal(one["head.0.weight"], other["head.0.weight"])
    assert not torch.equal(one["backbone.0.weight"], other["backbone.0.weight"])


def test_drawing_random_numbers_between_epochs_changes_nothing(make_setup):
    """A progress bar or a logger may use the global generator."""
    setup = {"recipe": DROPOUT, "augmentation": NOISE}
    quiet = finetune(make_setup(**setup))
    loud = finetune(make_setup(**setup, on_epoch=lambda epoch: torch.rand(7)))
    assert_same(state_of(quiet), state_of(loud))


def test_the_global_generators_are_left_alone(make_setup, unseen):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    finetune(make_setup(recipe=DROPOUT, augmentation=NOISE)).predict(unseen)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    np.testing.assert_array_equal(np.random.get_state()[1], before[2])


def test_dropout_and_augmentation_differ_from_batch_to_batch(make_setup):
    draws = []

    def spy(images, generator):
        draws.append(generator.initial_seed())
        return images

    finetune(make_setup(stage(epochs=3), augmentation=Augmentation("spy", spy)))
    assert len(set(draws)) == len(draws) == 3 * 5


def test_a_trial_of_one_stage_is_the_beginning_of_a_trial_of_two(record):
    """Epochs are seeded by their number, not by how many stages follow."""
    constant = {"schedule": "constant", "epochs": 1}
    short = record(stage(**constant), selection=LAST)
    long = record(stage(**constant), stage(**constant), selection=LAST)
    assert_same(short.states[0], long.states[0])


# -- predicting --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_predictions_do_not_depend_on_the_batch_size(make_setup, unseen, batch_size):
    whole = finetune(make_setup(recipe=DROPOUT)).predict(unseen)
    parts = finetune(make_setup(recipe={**DROPOUT, "eval_batch_size": batch_size})).predict(unseen)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_predictions_do_not_depend_on_a_training_mode_left_over(make_setup, unseen):
    fitted = finetune(make_setup(recipe=DROPOUT))
    expected = fitted.predict(unseen)
    fitted.network.train()
    np.testing.assert_array_equal(fitted.predict(unseen), expected)
    assert fitted.network.training, "predicting puts the mode back"


def test_predicting_changes_no_tensor(make_setup, unseen):
    fitted = finetune(make_setup())
    before = state_of(fitted)
    fitted.network.train()
    fitted.predict(unseen)
    assert_same(before, state_of(fitted))


def test_a_prediction_does_not_depend_on_its_neighbours(make_setup, bands, workspace):
    fitted = finetune(make_setup())
    both = fitted.predict(Subset.of(bands(), [60, 61], workspace))
    alone = fitted.predict(Subset.of(bands(), [61], workspace))
    np.testing.assert_allclose(alone[0], both[1], atol=1e-5)


def test_predictions_are_the_networks_outputs_on_normalised_images(make_setup, unseen):
    fitted = finetune(make_setup())
    pixels = torch.from_numpy(unseen.images(16)).float()[:, None].repeat(1, 3, 1, 1) / 255
    with torch.inference_mode():
        expected = fitted.network((pixels - 0.5) / 0.5).numpy()
    scores = fitted.predict(unseen)
    assert scores.shape == (12, 2)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-5)
