"""A head that begins as the linear probe of the pretrained features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mritk import Augmentation, Classification, Regression, Samples
from mritk.errors import UsageError
from mritk.protocol.recipe import PENALTIES, Head, HiddenLayer, Probe, Stage
from mritk.train.head_start import start_as_probe
from mritk.train.loop import finetune
from mritk.train.training import prepare
from tests.training_fixtures import untrained

PROBE = {"head_start": "probe"}


@pytest.fixture
def aged(bands):
    """The images of ``bands`` brighter with age, and a target in years."""
    ages = np.random.default_rng(0).uniform(20, 90, 72)
    shade = np.random.default_rng(1).normal(0, 5, (72, 16, 16)) + 2 * ages[:, None, None]
    pixels = np.clip(shade, 0, 255).astype(np.uint8)
    return Samples([f"s{i}" for i in range(72)], ages, Regression("years"), lambda i: pixels[i])


def started(make_setup, **fields):
    training = prepare(make_setup(recipe={**PROBE, **fields.pop("recipe", {})}, **fields))
    penalty = start_as_probe(training.network.head, training.setup, training.objective)
    return training, penalty


def val_loss(training):
    outputs = training.evaluate(training.val)
    targets = training.objective.prepare(training.setup.val.targets)
    return float(training.objective.plain_loss(outputs, targets))


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_the_head_scores_as_the_method_linear_probe_does(make_setup, unseen, weights):
    """Of the same penalties both choose the one with the least validation loss."""
    from mritk_finetune.probe import fit_probe

    training, penalty = started(make_setup, recipe={"class_weights": weights})
    probe = fit_probe(make_setup(parameters=Probe(class_weights=weights)))
    assert probe.notes["selected_penalty"] == penalty in PENALTIES
    np.testing.assert_allclose(
        untrained(training).predict(unseen), probe.predict(unseen), atol=1e-4
    )


def test_a_regression_begins_as_the_ridge_of_the_features(make_setup, aged):
    from mritk_finetune.probe import fit_probe

    training, penalty = started(make_setup, samples=aged)
    probe = fit_probe(make_setup(parameters=Probe(), samples=aged))
    assert probe.notes["selected_penalty"] == penalty
    val = training.setup.val
    np.testing.assert_allclose(untrained(training).predict(val), probe.predict(val), rtol=1e-4)


def test_the_validation_loss_is_lower_than_that_of_a_random_head(make_setup, aged):
    for samples in (None, aged):
        random = prepare(make_setup(samples=samples))
        training, _ = started(make_setup, samples=samples)
        assert val_loss(training) < 0.8 * val_loss(random)


def test_the_backbone_and_the_random_state_are_not_touched(make_setup):
    random = prepare(make_setup()).network.state_dict()
    state = torch.get_rng_state()
    training, _ = started(make_setup)
    assert torch.equal(torch.get_rng_state(), state)
    own = training.network.state_dict()
    same = {name for name in own if torch.equal(own[name], random[name])}
    assert set(own) - same == {"head.0.weight", "head.0.bias"}


def test_the_features_are_those_without_augmentation(make_setup):
    def dark(images, generator):
        return images * 0

    plain, _ = started(make_setup)
    augmented, _ = started(make_setup, augmentation=Augmentation("dark", dark))
    assert torch.equal(plain.network.head[0].weight, augmented.network.head[0].weight)


def test_a_training_begins_with_it(record):
    """With a rate of nearly nothing the first epoch shows the start."""
    still = Stage(epochs=1, learning_rate=1e-12, train_last=0.0, optimizer="sgd")
    probed = record(still, recipe=PROBE)
    random = record(still)
    assert probed.epochs[0].val_loss < 0.8 * random.epochs[0].val_loss
    expected = prepare(probed.training.setup)
    start_as_probe(expected.network.head, expected.setup, expected.objective)
    assert probed.epochs[0].val_loss == pytest.approx(val_loss(expected), rel=1e-5)


def test_only_the_first_stage_begins_with_it(record):
    """What the first stage has learnt is not overwritten."""
    learns = Stage(epochs=4, learning_rate=1e-2)
    still = Stage(epochs=1, learning_rate=1e-12, train_last=0.0, optimizer="sgd")
    trained = record(learns, still, recipe=PROBE)
    best = min(epoch.val_loss for epoch in trained.epochs[:4])
    assert trained.epochs[4].val_loss == pytest.approx(best, rel=1e-4)


def test_dropout_before_the_layer_does_no_harm(make_setup):
    training, _ = started(make_setup, recipe={"head": Head(dropout=0.5)})
    plain, _ = started(make_setup)
    assert torch.equal(training.network.head[1].weight, plain.network.head[0].weight)


@pytest.mark.parametrize("head", [Head(hidden=(HiddenLayer(4),)), Head(batch_norm=True)])
def test_a_head_of_more_layers_cannot(make_setup, head):
    with pytest.raises(UsageError, match="needs a head without hidden layers and BatchNorm"):
        finetune(make_setup(recipe={**PROBE, "head": head}))


def test_more_than_two_classes(make_setup, bands):
    targets = np.arange(72) % 3
    samples = bands(targets=targets, task=Classification(("a", "b", "c")))
    training, _ = started(make_setup, samples=samples)
    assert training.network.head[0].weight.shape[0] == 3
