"""The batched logistic regression against scikit-learn at tight tolerance, and by its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mritk import DataError
from mritk.probe import logistic_search
from mritk.probe.logistic import fit_logistic

PENALTIES = (0.01, 1.0, 100.0)


def draw(count, width, classes, *, apart=1.0, seed=0):
    """Return correlated features with offsets, and classes that are partly visible in them."""
    rng = np.random.default_rng(seed)
    targets = rng.permutation(np.arange(count) % classes)
    spread = np.arange(1, width + 1) ** -0.5
    features = (rng.normal(size=(count, width)) * spread) @ rng.normal(size=(width, width))
    features += apart * rng.normal(size=(classes, width))[targets] + 5 * rng.normal(size=width)
    return features, targets


def reference(features, targets, penalty, *, balanced=False):
    """Return scikit-learn's model on standardised features, and its logits for all classes."""
    standardised = StandardScaler().fit_transform(features)
    model = LogisticRegression(
        C=1 / penalty,
        class_weight="balanced" if balanced else None,
        tol=1e-10,
        max_iter=100_000,
    ).fit(standardised, targets)
    logits = model.decision_function(standardised)
    if logits.ndim == 1:
        logits = np.stack([-logits / 2, logits / 2], axis=1)
    return model, logits


def assert_same(found, wanted, tolerance=1e-4):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("shape", [(150, 12), (40, 90)], ids=["tall", "wide"])
def test_it_is_scikit_learns_for_every_penalty(shape, classes, balanced):
    features, targets = draw(*shape, classes)
    targets[: shape[0] // 4] = 0  # classes of different sizes
    fit = fit_logistic(features, targets, classes, PENALTIES, balanced=balanced)
    assert fit.weight.shape == (3, classes, shape[1])
    assert all(fit.converged)
    scale = StandardScaler().fit(features).scale_
    for number, penalty in enumerate(PENALTIES):
        model, logits = reference(features, targets, penalty, balanced=balanced)
        assert_same(fit.logits(features)[number].numpy(), logits)
        weight = fit.weight[number].numpy() * scale
        assert_same(weight[1:] - weight[:1] if classes == 2 else weight, model.coef_)


def test_classes_that_can_be_separated_are_no_trouble():
    features, targets = draw(300, 60, 4, apart=8.0)
    fit = fit_logistic(features, targets, 4, (0.001, 1000.0))
    assert all(fit.converged)
    assert (fit.logits(features)[0].argmax(1).numpy() == targets).all()
    assert_same(fit.logits(features)[1].numpy(), reference(features, targets, 1000.0)[1])


def test_constant_and_repeated_features():
    features, targets = draw(80, 6, 3)
    constant = np.full((80, 2), [[0.0, 3.3]])
    wide = np.hstack([features, constant, features[:, :2], features[:, :1] * 1000])
    fit = fit_logistic(wide, targets, 3, (1.0,))
    assert_same(fit.logits(wide)[0].numpy(), reference(wide, targets, 1.0)[1])
    weight = fit.weight[0].numpy()
    # Zero but for what the linear algebra of a processor rounds.
    np.testing.assert_allclose(weight[:, 6:8], 0, atol=1e-12)
    np.testing.assert_allclose(weight[:, 8:10], weight[:, :2], err_msg="twins share evenly")
    np.testing.assert_allclose(weight[:, 10] * 1000, weight[:, 0], err_msg="scale means nothing")


def test_features_that_say_nothing_leave_the_share_of_each_class():
    targets = np.repeat([0, 1, 2], [10, 20, 30])
    fit = fit_logistic(np.ones((60, 4)), targets, 3, (1.0,))
    chances = fit.logits(np.ones((1, 4))).softmax(2)[0, 0]
    np.testing.assert_allclose(chances, [1 / 6, 2 / 6, 3 / 6], rtol=1e-6)
    assert (fit.weight == 0).all()


def test_the_gradient_of_the_objective_vanishes():
    """An oracle without scikit-learn: the objective written down and differentiated by autograd."""
    features, targets = draw(120, 10, 3)
    fit = fit_logistic(features, targets, 3, (0.5,))
    scaler = StandardScaler().fit(features)
    x, y = torch.from_numpy(scaler.transform(features)), torch.from_numpy(targets)
    weight = (fit.weight[0] * torch.from_numpy(scaler.scale_)).requires_grad_()
    bias = (fit.bias[0] + fit.weight[0] @ torch.from_numpy(scaler.mean_)).requires_grad_()
    loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y, reduction="sum")
    (loss + 0.25 * weight.square().sum()).backward()
    assert weight.grad.norm() <= 1e-5 * 0.5 * weight.detach().norm()
    assert bias.grad.abs().max() < 1e-3


def test_penalties_do_not_touch_each_other():
    features, targets = draw(100, 20, 3)
    together = fit_logistic(features, targets, 3, (100.0, 0.1, 1.0))
    alone = fit_logistic(features, targets, 3, (0.1,))
    assert_same(together.weight[1].numpy(), alone.weight[0].numpy(), 1e-5)
    assert len(together.iterations) == len(together.converged) == 3


def test_float32_tensors_and_arrays_give_the_same_bits():
    features, targets = draw(60, 8, 3)
    array = features.astype(np.float32)
    one = fit_logistic(array, targets, 3, (1.0,))
    other = fit_logistic(torch.from_numpy(array), torch.from_numpy(targets), 3, (1.0,))
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)
    assert one.weight.dtype == torch.float64


def test_logits_sum_to_zero():
    features, targets = draw(60, 8, 4)
    logits = fit_logistic(features, targets, 4, PENALTIES).logits(features)
    np.testing.assert_allclose(logits.sum(2), 0, atol=1e-8)


def test_a_class_without_samples_is_refused():
    features, targets = draw(30, 4, 2)
    with pytest.raises(DataError, match="class number 2 has no sample in the training set"):
        fit_logistic(features, targets, 3, (1.0,))


def test_a_search_that_is_cut_short_says_so(monkeypatch):
    monkeypatch.setattr(logistic_search, "MAX_ITERATIONS", 3)
    features, targets = draw(200, 30, 3)
    fit = fit_logistic(features, targets, 3, (0.01, 1e6))
    assert fit.converged == (False, True)
    assert fit.iterations[0] == 3
    assert torch.isfinite(fit.weight).all()
