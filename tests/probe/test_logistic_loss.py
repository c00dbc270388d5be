"""What proves that a search may end: losses to the last digits, and a bound that is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mritk.probe import logistic_search
from mritk.probe.logistic import fit_logistic
from mritk.probe.logistic_loss import losses, lower_bound, residuals


def problem(classes=3, seed=0):
    """Return centred features, the classes of samples, and their weights."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    is_class = torch.arange(40)[:, None] % classes == torch.arange(classes)
    weights = torch.rand(40, generator=generator, dtype=torch.float64) + 0.5
    return table - (weights @ table) / weights.sum(), is_class, weights


def objective(table, is_class, weights, penalty, weight, bias):
    logits = table @ weight + bias
    each = torch.nn.functional.cross_entropy(logits, is_class.double(), reduction="none")
    return each @ weights + penalty / 2 * weight.square().sum()


@pytest.mark.parametrize("certain", [1.0, 40.0, 300.0])
def test_losses_are_precise_where_a_class_is_nearly_certain(certain):
    """Rounded like logits, all of these but the first would be zero."""
    logits = torch.tensor([[[certain, 0.0]]], dtype=torch.float64)
    is_class = torch.tensor([[True, False]])
    loss, residual = losses(logits, is_class), residuals(logits, is_class)
    assert float(loss) == pytest.approx(math.log1p(math.exp(-certain)), rel=1e-12)
    other = math.exp(-certain) / (1 + math.exp(-certain))
    assert residual[0, 0].tolist() == pytest.approx([-other, other], rel=1e-12)


def test_losses_are_those_of_torch_and_residuals_their_gradient():
    logits = torch.randn(2, 40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits = (30 * logits).requires_grad_()
    _, is_class, _ = problem()
    found = losses(logits, is_class)
    wanted = -logits.log_softmax(2)[:, is_class]
    torch.testing.assert_close(found, wanted)
    (gradient,) = torch.autograd.grad(wanted.sum(), logits)
    torch.testing.assert_close(residuals(logits, is_class), gradient)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [1e-4, 0.1, 50.0])
def test_no_point_is_below_the_bound_wherever_it_was_looked_for(penalty, seed):
    table, is_class, weights = problem(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    strength = torch.tensor([penalty], dtype=torch.float64)
    points = [torch.zeros(7, 3).double()]
    points += [torch.randn(7, 3, generator=generator).double() * size for size in (0.01, 1.0, 30.0)]
    bounds = [
        float(lower_bound(table, (table @ p[:-1] + p[-1])[None], strength, is_class, weights))
        for p in points
    ]
    lowest = min(float(objective(table, is_class, weights, penalty, p[:-1], p[-1])) for p in points)
    assert max(bounds) <= lowest


@pytest.mark.parametrize("penalty", [1e-6, 0.1, 1e4])
def test_at_the_optimum_the_bound_is_the_minimum_though_intercepts_are_off(penalty):
    table, is_class, weights = problem()
    point = torch.zeros(7, 3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [point],
        max_iter=5000,
        tolerance_grad=1e-13,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = objective(table, is_class, weights, penalty, point[:-1], point[-1])
        loss.backward()
        return loss

    for _ in range(5):
        minimum = float(optimiser.step(closure).detach())
    logits = (table @ point[:-1] + point[-1] + torch.tensor([1e-4, 0.0, 0.0])).detach()
    strength = torch.tensor([penalty], dtype=torch.float64)
    bound = float(lower_bound(table, logits[None], strength, is_class, weights))
    assert bound == pytest.approx(minimum, rel=1e-6)
    assert bound <= minimum * (1 + 1e-12)


@pytest.mark.parametrize("excess", [1e-3, 1e-6])
def test_a_point_above_the_minimum_is_not_taken_for_it(excess, monkeypatch):
    """The search stops by proof: with a laxer tolerance earlier, and as far off as that allows."""
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(80, 10)), np.arange(80) % 3
    best = fit_logistic(features, targets, 3, (0.1,))
    monkeypatch.setattr(logistic_search, "TOLERANCE", excess)
    early = fit_logistic(features, targets, 3, (0.1,))
    apart = (early.weight - best.weight).norm() / best.weight.norm()
    assert early.converged == (True,)
    assert apart <= excess + 1e-5
    assert early.iterations < best.iterations if excess > 1e-5 else True
