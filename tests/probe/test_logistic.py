"""The batched logistic regression against scikit-learn at tight tolerance, and by its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mritk import DataError
from mritk.probe import logistic_newton, logistic_search
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


@pytest.mark.slow
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


WIDE = (1e-3, 0.01, 0.1, 10.0, 1e4)


def skewed(count, width, classes):
    """Return features with long tails, and classes that have nothing to do with them."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(width, width)))[0]
    features = (rng.normal(size=(count, width)) * np.logspace(0, -3, width)) @ axes
    return np.exp(2.5 * features / features.std(0)), np.arange(count) % classes


def objective(fit, number, features, targets, penalty):
    """Return the loss of a fit on standardised features."""
    scaler = StandardScaler().fit(features)
    x, y = torch.from_numpy(scaler.transform(features)), torch.from_numpy(targets)
    scale, mean = torch.from_numpy(scaler.scale_), torch.from_numpy(scaler.mean_)
    weight, bias = fit.weight[number] * scale, fit.bias[number] + fit.weight[number] @ mean
    loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y, reduction="sum")
    return float(loss + penalty / 2 * weight.square().sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [(300, 100, 2), (300, 60, 12), (80, 150, 4)], ids=["binary", "twelve", "wide"]
)
def test_weak_penalties_on_skewed_features_take_few_steps(shape):
    """L-BFGS alone takes hundreds, or comes to no end in 1,000."""
    features, targets = skewed(*shape)
    fit = fit_logistic(features, targets, shape[2], WIDE)
    assert all(fit.converged)
    assert max(fit.iterations) <= 130


@pytest.mark.slow
def test_newton_steps_give_the_loss_of_scikit_learn(monkeypatch):
    """To a millionth, by either way of going; scikit-learn's own Newton method is the oracle."""
    features, targets = skewed(200, 40, 4)
    standardised = StandardScaler().fit_transform(features)
    for first in (1, 1000):
        monkeypatch.setattr(logistic_search, "QUASI_NEWTON", {"cpu": first})
        fit = fit_logistic(features, targets, 4, (0.01, 0.1, 1.0))
        for number, penalty in enumerate((0.01, 0.1, 1.0)):
            model = LogisticRegression(C=1 / penalty, solver="newton-cg", tol=1e-9, max_iter=1000)
            chances = model.fit(standardised, targets).predict_proba(standardised)
            wanted = -np.log(chances[np.arange(200), targets]).sum()
            wanted += penalty / 2 * np.square(model.coef_).sum()
            found = objective(fit, number, features, targets, penalty)
            assert found == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_newton_steps_bear_twins_constants_and_separable_classes(monkeypatch, classes):
    monkeypatch.setattr(logistic_search, "QUASI_NEWTON", {"cpu": 0})
    features, targets = draw(60, 8, classes, apart=9.0)
    features = np.hstack([features, features[:, :3], np.full((60, 1), 7.0)])
    fit = fit_logistic(features, targets, classes, (1e-6, 0.01, 1e4), balanced=True)
    assert all(fit.converged)
    assert max(fit.iterations) <= 60
    assert torch.isfinite(fit.weight).all()


def test_a_newton_direction_solves_the_hessian(monkeypatch):
    """The oracle is torch's own second derivative of the objective."""
    monkeypatch.setattr(logistic_newton, "SHARE", 1e-12)
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(30, 5, generator=generator, dtype=torch.float64)
    weights, targets = torch.rand(30, generator=generator).double() + 0.5, torch.arange(30) % 3
    penalty = torch.tensor([[0.1], [0.2], [1.0], [3.0], [0.5]]).double()

    def loss(point):
        each = torch.nn.functional.cross_entropy(table @ point, targets, reduction="none")
        return each @ weights + (penalty * point.square()).sum() / 2

    point = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    point -= point.mean(1, keepdim=True)
    gradient = torch.autograd.functional.jacobian(loss, point)
    hessian = torch.autograd.functional.hessian(loss, point).reshape(15, 15)
    chances = (table @ point).softmax(1)
    found = logistic_newton.newton_directions(
        table, weights, chances[None], penalty[None], gradient[None]
    )[0]
    wanted = torch.linalg.solve(hessian, -gradient.flatten()).reshape(5, 3)
    torch.testing.assert_close(found, wanted)


def test_newton_directions_of_several_penalties_are_those_of_each(monkeypatch):
    """Also where one is solved exactly before the others, and where memory parts them."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    chances = torch.randn(3, 30, 3, generator=generator, dtype=torch.float64).softmax(2)
    penalty = torch.tensor([1e-6, 1.0, 1e4]).double()[:, None, None].expand(3, 4, 1)
    gradient = torch.randn(3, 4, 3, generator=generator, dtype=torch.float64)
    gradient -= gradient.mean(2, keepdim=True)
    gradient[2] = 0
    rest = table, torch.ones(30, dtype=torch.float64)
    together = logistic_newton.newton_directions(*rest, chances, penalty, gradient)
    monkeypatch.setattr(logistic_newton, "BLOCK_BYTES", 1)
    parted = logistic_newton.newton_directions(*rest, chances, penalty, gradient)
    torch.testing.assert_close(together, parted, rtol=1e-12, atol=1e-14)
    assert (together[2] == 0).all()


def test_logits_sum_to_zero():
    features, targets = draw(60, 8, 4)
    logits = fit_logistic(features, targets, 4, PENALTIES).logits(features)
    np.testing.assert_allclose(logits.sum(2), 0, atol=1e-8)


def test_a_class_without_samples_is_refused():
    features, targets = draw(30, 4, 2)
    with pytest.raises(DataError, match="class number 2 has no sample in the training set"):
        fit_logistic(features, targets, 3, (1.0,))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(bad):
    features = np.ones((4, 2))
    features[1, 0] = bad
    with pytest.raises(DataError, match="some training features are NaN or infinite"):
        fit_logistic(features, [0, 1, 0, 1], 2, [1.0])


def test_a_search_that_is_cut_short_says_so(monkeypatch):
    monkeypatch.setattr(logistic_search, "MAX_ITERATIONS", 3)
    features, targets = draw(200, 30, 3)
    fit = fit_logistic(features, targets, 3, (0.01, 1e6))
    assert fit.converged == (False, True)
    assert fit.iterations[0] == 3
    assert torch.isfinite(fit.weight).all()
