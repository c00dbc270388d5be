"""The published schedules on scripted validation values: rates and last epoch by a reference.

The learning rate follows the validation loss, early stopping the validation accuracy, and the two
disagree.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mritk.method import SelectionRule
from mritk.model.objective import Objective
from mritk.protocol.recipe import Stage
from mritk.train.selection import BestState

# Epochs, rate, epochs without a better loss, epochs without a better accuracy: of both stages.
PUBLISHED = [(50, 1e-4, 3, 8), (10, 1e-5, 2, 5)]
FACTOR, FLOOR = 0.2, 1e-7
SEEDS = range(6)


def reference(losses, accuracies, epochs, rate, plateau_patience, early_stopping):
    """Return the rate of each epoch that is trained."""
    least, best = math.inf, -math.inf
    waited = idle = 0
    rates = []
    for loss, accuracy in zip(losses[:epochs], accuracies[:epochs], strict=True):
        rates.append(rate)
        waited = 0 if loss < least else waited + 1
        idle = 0 if accuracy > best else idle + 1
        least, best = min(least, loss), max(best, accuracy)
        if waited == plateau_patience:
            rate, waited = max(rate * FACTOR, FLOOR), 0
        if idle == early_stopping:
            break
    return rates


def scripted(seed, epochs):
    """Return losses and accuracies that improve for a while, with noise, and then do not.

    From seed 4 on they worsen at once.
    """
    rng = np.random.default_rng(seed)
    progress = 1 - np.exp(-np.arange(epochs) / (epochs * rng.uniform(0.02, 0.4)))
    progress *= -1 if seed >= 4 else 1
    losses = 1.4 - progress + rng.normal(0, 0.05, epochs)
    accuracies = (0.3 + 0.6 * progress + rng.normal(0, 0.05, epochs)).round(2)
    return losses.tolist(), accuracies.tolist()


@pytest.fixture
def rates_of(record, monkeypatch):
    def train(stage, losses, accuracies):
        loss, accuracy = iter(losses), iter(accuracies)
        monkeypatch.setattr(
            Objective, "plain_loss", lambda *_: torch.tensor(next(loss), dtype=torch.float64)
        )
        monkeypatch.setattr(BestState, "measure", lambda *_: next(accuracy))
        trained = record(stage, selection=SelectionRule(by="accuracy"))
        return [epoch.learning_rate for epoch in trained.epochs]

    return train


@pytest.mark.slow
@pytest.mark.parametrize("published", PUBLISHED, ids=["head", "last fifth"])
@pytest.mark.parametrize("seed", SEEDS)
def test_rates_and_the_last_epoch_are_those_of_the_reference(rates_of, published, seed):
    epochs, rate, plateau_patience, early_stopping = published
    stage = Stage(
        epochs=epochs,
        train_last=0.0,
        optimizer="adam",
        learning_rate=rate,
        schedule="plateau",
        plateau_factor=FACTOR,
        plateau_patience=plateau_patience,
        minimum_learning_rate=FLOOR,
        early_stopping=early_stopping,
    )
    losses, accuracies = scripted(seed, epochs)
    expected = reference(losses, accuracies, *published)
    assert rates_of(stage, losses, accuracies) == pytest.approx(expected)


def test_the_scripts_stop_early_and_reach_the_end_and_the_floor():
    """Else the comparison would show little."""
    head, last = ([reference(*scripted(seed, p[0]), *p) for seed in SEEDS] for p in PUBLISHED)
    assert min(map(len, head)) < 50 == max(map(len, head))
    assert min(map(len, last)) < 10 == max(map(len, last))
    assert min(min(rates) for rates in head) == FLOOR
    assert max(len(set(rates)) for rates in last) > 2
