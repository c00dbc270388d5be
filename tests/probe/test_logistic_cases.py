"""Logistic regressions that are hard to solve come to an end, with scikit-learn's loss.

From the weakest to the strongest penalty in use, whatever the shape of the features.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mritk.model.objective import balanced_weights
from mritk.probe.logistic import fit_logistic

PENALTIES = (1e-6, 1e-4, 0.01, 1.0, 100.0, 1e4)
# L-BFGS takes up to a hundred steps of so few features, Newton's method the rest.
STEPS = 140


def draw(count, width, classes, *, decades=2.0, apart=0.3, seed=0):
    """Return features whose spectrum falls by so many orders of magnitude, and classes."""
    rng = np.random.default_rng(seed)
    spectrum = np.logspace(0, -decades, width)
    axes = np.linalg.qr(rng.normal(size=(width, width)))[0]
    targets = rng.permutation(np.arange(count) % classes)
    features = (rng.normal(size=(count, width)) * spectrum) @ axes
    return features + apart * (rng.normal(size=(classes, width)) * spectrum)[targets], targets


def of_less_rank():
    features, targets = draw(60, 10, 3)
    return np.hstack([features, features @ np.random.default_rng(1).normal(size=(10, 8))]), targets


def nearly_of_less_rank():
    features, targets = draw(60, 10, 3)
    noise = np.random.default_rng(1).normal(size=(60, 5))
    return np.hstack([features, features[:, :5] + 1e-4 * noise]), targets


def one_sample_of_a_class():
    features, targets = draw(60, 10, 3)
    targets[targets == 2] = 0
    targets[-1] = 2
    return features, targets


def scaled(factor, offset):
    features, targets = draw(60, 10, 3)
    return features * factor + offset, targets


def long_tails():
    features, targets = draw(60, 10, 3)
    return np.exp(3 * features / features.std(0)), targets


CASES = {
    "two classes": lambda: draw(100, 10, 2),
    "four classes": lambda: draw(100, 15, 4),
    "twelve classes": lambda: draw(75, 15, 12),
    "fewer samples than features": lambda: draw(20, 45, 4),
    "fewer, two classes": lambda: draw(20, 45, 2),
    "of less rank": of_less_rank,
    "nearly of less rank": nearly_of_less_rank,
    "one sample of a class": one_sample_of_a_class,
    "all features equal": lambda: (np.ones((60, 4)), np.repeat([0, 1, 2], [10, 20, 30])),
    "huge": lambda: scaled(1e12, 1e13),
    "tiny": lambda: scaled(1e-12, 0.0),
    "a large offset": lambda: scaled(1.0, 1e6),
    "long tails": long_tails,
    "separable": lambda: draw(100, 5, 2, apart=30.0),
}


def losses(features, targets, penalty, *, balanced, fit, number):
    """Return the objective of a fit, and of scikit-learn's Newton method."""
    classes, rows = int(targets.max()) + 1, np.arange(len(targets))
    scaler = StandardScaler().fit(features)
    standardised = scaler.transform(features)
    weights = balanced_weights(targets, classes)[targets] if balanced else np.ones(len(targets))
    model = LogisticRegression(
        C=1 / penalty,
        class_weight="balanced" if balanced else None,
        solver="newton-cg",
        tol=1e-10,
        max_iter=1000,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the oracle may stop early: then it is above
        model.fit(standardised, targets)
    coefficients, intercepts = model.coef_, model.intercept_
    if classes == 2:
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
        penalty = 2 * penalty

    def objective(weight, bias):
        logits = standardised @ weight.T + bias
        logits -= logits.max(1, keepdims=True)
        each = np.log(np.exp(logits).sum(1)) - logits[rows, targets]
        return float(each @ weights + penalty / 2 * np.square(weight).sum())

    weight, bias = fit.weight[number].numpy(), fit.bias[number].numpy()
    ours = objective(weight * scaler.scale_, bias + weight @ scaler.mean_)
    return ours, objective(coefficients, intercepts)


@pytest.mark.slow
@pytest.mark.parametrize("balanced", [False, True], ids=["", "balanced"])
@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_that_of_scikit_learn_for_every_penalty(name, balanced):
    features, targets = CASES[name]()
    targets[: len(targets) // 5] = 0  # classes of different sizes
    fit = fit_logistic(features, targets, int(targets.max()) + 1, PENALTIES, balanced=balanced)
    assert all(fit.converged)
    assert max(fit.iterations) <= STEPS
    for number, penalty in enumerate(PENALTIES):
        ours, wanted = losses(features, targets, penalty, balanced=balanced, fit=fit, number=number)
        assert ours == pytest.approx(wanted, rel=1e-6), f"penalty {penalty}"


@st.composite
def problems(draw_):
    """Features, classes and a penalty that have nothing in common with others."""
    classes = draw_(st.integers(2, 6))
    features, targets = draw(
        draw_(st.integers(2 * classes, 60)),
        draw_(st.integers(1, 40)),
        classes,
        decades=draw_(st.floats(0, 8)),
        apart=draw_(st.floats(0, 20)),
        seed=draw_(st.integers(0, 1000)),
    )
    # Of classes of one size, weights are all one.
    return features[classes // 2 :], targets[classes // 2 :], 10.0 ** draw_(st.floats(-6, 4))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(problem=problems(), balanced=st.booleans())
def test_no_loss_is_above_that_of_scikit_learn(problem, balanced):
    features, targets, penalty = problem
    classes = int(targets.max()) + 1
    assume(set(targets) == set(range(classes)))
    fit = fit_logistic(features, targets, classes, (penalty,), balanced=balanced)
    assert fit.converged == (True,)
    assert fit.iterations[0] <= STEPS
    ours, wanted = losses(features, targets, penalty, balanced=balanced, fit=fit, number=0)
    assert ours <= wanted * (1 + 1e-6)
