"""The temperature: found where it is known, bounded, and refused where nothing determines it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mritk.evaluate.metric import Undefined
from mritk.evaluate.temperature import calibrated, fit_temperature


def honest(samples, factor, seed=0):
    """Targets drawn from the probabilities of logits, and those logits times ``factor``."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(samples, 3))
    chances = softmax(logits, axis=1).cumsum(axis=1)
    return (rng.random((samples, 1)) > chances).sum(axis=1), factor * logits


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_logits_that_are_too_large_by_a_factor_are_divided_by_it(factor):
    assert fit_temperature(*honest(20_000, factor)) == pytest.approx(factor, rel=0.05)


def test_it_minimises_the_log_loss_with_a_prior_of_one_sample():
    target, score = honest(40, 2.0)
    grid = np.exp(np.linspace(-2, 2, 4001))
    losses = [
        -log_softmax(score / t, axis=1)[np.arange(40), target].sum() + np.log(t) ** 2 for t in grid
    ]
    assert fit_temperature(target, score) == pytest.approx(grid[np.argmin(losses)], rel=2e-3)


@pytest.mark.parametrize("right", [True, False])
def test_a_part_that_is_all_right_or_all_wrong_determines_nothing(right):
    """Colder would always be better on it, and ruin the log loss of the first error elsewhere."""
    target = np.arange(20) % 2
    with pytest.raises(Undefined, match="determines no temperature"):
        fit_temperature(target, np.eye(2)[target if right else 1 - target])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_determine_nothing(bad):
    target, score = honest(40, 1.0)
    score[3, 0] = bad
    with pytest.raises(Undefined, match="some validation scores are NaN or infinite"):
        fit_temperature(target, score)


def test_one_error_among_few_does_not_sharpen_without_bound():
    target = np.arange(20) % 2
    shown = np.where(np.arange(20) == 3, 1 - target, target)
    score = np.eye(2)[shown] * np.linspace(0.01, 2, 20)[:, None]
    temperature = fit_temperature(target, score)
    assert 0.1 <= temperature <= 10
    loss = -log_softmax(calibrated(score, temperature), axis=1)[np.arange(20), target]
    assert loss.max() < 3
