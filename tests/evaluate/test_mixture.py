"""Mixtures of predictions, and which models a greedy ensemble is made of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from benchmarks.evidence.ensembles import rates
from benchmarks.evidence.simulated import World
from mritk.evaluate.calibration import probabilities_of
from mritk.evaluate.greedy_selection import greedy_weights
from mritk.evaluate.metric import Undefined
from mritk.evaluate.mixture import equal_weights, mixed_scores, mixed_spread

DRAWN = np.random.default_rng(0)
LOGITS = [DRAWN.normal(0, 4, (50, 3)).astype(np.float32) for _ in range(5)]
WEIGHTS = np.asarray([0.1, 0.2, 0.3, 0.25, 0.15])


@pytest.mark.parametrize("weights", [equal_weights(5), WEIGHTS], ids=["equal", "weighted"])
def test_probabilities_of_a_mixture_are_numpys_mean_of_probabilities(weights):
    expected = np.average(
        [softmax(logits.astype(np.float64), axis=1) for logits in LOGITS], axis=0, weights=weights
    )
    score = mixed_scores(LOGITS, weights)
    assert score.dtype == np.float64
    assert np.abs(np.exp(score) - expected).max() < 1e-12
    assert np.abs(probabilities_of(score) - expected).max() < 1e-12


def test_scores_of_models_that_are_sure_are_finite():
    sure = [np.asarray([[9000.0, 0.0]]), np.asarray([[8000.0, 0.0]])]
    assert np.isfinite(mixed_scores(sure, equal_weights(2))).all()


def test_mean_and_spread_are_those_of_draws_from_the_mixture():
    means = [np.asarray([60.0, 20.0]), np.asarray([70.0, 20.0])]
    spreads = [np.asarray([2.0, 3.0]), np.asarray([4.0, 3.0])]
    weights = np.asarray([0.25, 0.75])
    assert np.allclose(mixed_scores(means, weights), [67.5, 20.0], atol=1e-12)
    second = sum(w * (s**2 + m**2) for w, s, m in zip(weights, spreads, means, strict=True))
    expected = np.sqrt(second - np.asarray([67.5, 20.0]) ** 2)
    assert np.abs(mixed_spread(means, spreads, weights) - expected).max() < 1e-12
    draws = np.random.default_rng(1)
    which = draws.random(400_000) < 0.25
    drawn = np.where(which, draws.normal(60, 2, 400_000), draws.normal(70, 4, 400_000))
    assert mixed_spread(means, spreads, weights)[0] == pytest.approx(drawn.std(), rel=0.01)


class TestGreedy:
    targets = np.arange(300) % 3
    good = 2.0 * np.eye(3)[targets] + DRAWN.normal(0, 1, (300, 3))
    other = 2.0 * np.eye(3)[targets] + DRAWN.normal(0, 1, (300, 3))
    noise = DRAWN.normal(0, 3, (300, 3))

    def test_noise_is_left_out_and_the_mean_is_better_than_each_model(self):
        weights = greedy_weights(self.targets, [self.noise, self.good, self.other])
        assert weights.sum() == pytest.approx(1)
        assert weights[0] == 0
        assert min(weights[1:]) > 0
        mixture = probabilities_of(mixed_scores([self.noise, self.good, self.other], weights))
        alone = [log_loss(self.targets, probabilities_of(s)) for s in (self.good, self.other)]
        assert log_loss(self.targets, mixture) < min(alone)

    def test_first_step_takes_the_best_model_and_copies_of_it_change_nothing(self):
        assert greedy_weights(self.targets, [self.good, self.good]).tolist() == [1, 0]

    def test_values_are_chosen_by_squared_error(self):
        truth = DRAWN.normal(50, 10, 40)
        models = [truth + 5, truth - 5, truth + 40]
        assert np.allclose(greedy_weights(truth, models), [0.5, 0.5, 0.0])

    def test_without_samples_or_with_infinite_scores_nothing_is_chosen(self):
        with pytest.raises(Undefined, match="no validation sample"):
            greedy_weights(np.empty(0, dtype=int), [np.empty((0, 2))])
        with pytest.raises(Undefined, match="NaN or infinite"):
            greedy_weights(np.asarray([0]), [np.asarray([[np.nan, 1.0]])])


@pytest.mark.slow
def test_equal_recipes_and_their_ensembles_are_called_equal():
    found = rates(World(patients=40, images=2, backbones=2, runs=3), range(100), 200)
    assert max(found.recipes, found.ensembles, found.beside) <= 0.05
