"""Learning rates over steps and epochs, against torch and against short references."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
import torch
from torch import nn

from mritk.model.network import Network
from mritk.protocol.recipe import Stage
from mritk.train.optimiser import Schedule, build_optimiser, factor


def network():
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    return Network(backbone, nn.Sequential(nn.Linear(2, 2)))


def stage(**changes):
    return Stage(**{"epochs": 1, "learning_rate": 1e-2, **changes})


def rates_by_step(recipe, steps, ends=()):
    """The rate of each step, and the one behind; an epoch ends with each step in ``ends``."""
    optimiser = build_optimiser(network(), recipe)
    schedule = Schedule(optimiser, recipe, steps)
    rates = []
    for step in range(1, steps + 1):
        rates.append(schedule.learning_rate)
        optimiser.step()
        schedule.after_step(ends_epoch=step in ends)
    return [*rates, schedule.learning_rate]


def rates_by_epoch(recipe, losses, steps_per_epoch=2):
    """The rate with which each epoch ends."""
    optimiser = build_optimiser(network(), recipe)
    schedule = Schedule(optimiser, recipe, steps_per_epoch * len(losses))
    rates = []
    for loss in losses:
        for _ in range(steps_per_epoch):
            optimiser.step()
            schedule.after_step()
        rates.append(schedule.learning_rate)
        schedule.after_epoch(loss)
    return rates


# -- schedules ---------------------------------------------------------------------------------


def test_constant_stays():
    assert rates_by_step(stage(schedule="constant"), 5) == [1e-2] * 6


def test_cosine_is_torchs_cosine_over_all_steps_of_the_stage():
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1e-2)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20)
    expected = [1e-2]
    for _ in range(20):
        optimiser.step()
        oracle.step()
        expected.append(optimiser.param_groups[0]["lr"])
    assert rates_by_step(stage(schedule="cosine"), 20) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("lengths", [[5] * 8, [3, 3, 3, 4, 3, 3, 3, 4]])
def test_steps_are_torchs_step_lr_by_the_epochs_behind(lengths):
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1e-2)
    oracle = torch.optim.lr_scheduler.StepLR(optimiser, step_size=3, gamma=0.9)
    expected = [1e-2]
    for length in lengths:
        for _ in range(length):
            optimiser.step()
            expected.append(optimiser.param_groups[0]["lr"])
        oracle.step()
        expected[-1] = optimiser.param_groups[0]["lr"]
    recipe = stage(epochs=8, schedule="step", step_factor=0.9, step_epochs=3)
    rates = rates_by_step(recipe, sum(lengths), ends=[*accumulate(lengths)])
    assert rates == pytest.approx(expected, abs=1e-12)


def test_warm_up_rises_linearly_to_the_peak_and_then_the_schedule_begins():
    rates = rates_by_step(stage(schedule="constant", warmup=0.4), 10)
    expected = [0.25e-2, 0.5e-2, 0.75e-2, 1e-2, 1e-2]
    assert rates[:5] == pytest.approx(expected)
    assert rates[-1] == pytest.approx(1e-2)


def test_warm_up_then_cosine_equals_the_formula():
    rates = rates_by_step(stage(schedule="cosine", warmup=0.25), 16)
    for step, rate in enumerate(rates):
        share = (step + 1) / 4 if step < 4 else (1 + math.cos(math.pi * (step - 4) / 12)) / 2
        assert rate == pytest.approx(1e-2 * share, abs=1e-12)


@pytest.mark.parametrize(("warmup", "cosine"), [(0, True), (0.3, True), (0.3, False), (0.99, True)])
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_every_rate_lies_between_zero_and_the_peak(steps, warmup, cosine):
    values = [factor(step, steps, warmup=warmup, cosine=cosine) for step in range(steps)]
    assert all(0 < value <= 1 for value in values)
    assert max(values) == 1 or steps > 1


def test_both_rates_follow_one_schedule():
    recipe = stage(backbone_learning_rate=1e-3)
    optimiser = build_optimiser(network(), recipe)
    schedule = Schedule(optimiser, recipe, 10)
    for _ in range(5):
        optimiser.step()
        schedule.after_step()
    halves = sorted({round(group["lr"], 12) for group in optimiser.param_groups})
    assert halves == pytest.approx([0.5e-3, 0.5e-2])


def plateau_reference(losses, *, rate, patience, reduction, floor, min_delta=0.0):
    """Multiply the rate after ``patience`` epochs in a row without a better loss.

    As Keras' ``ReduceLROnPlateau`` without a cooldown.
    """
    best, waited, rates = math.inf, 0, []
    for loss in losses:
        rates.append(rate)
        if loss < best - min_delta:
            best, waited = loss, 0
            continue
        waited += 1
        if waited >= patience:
            rate, waited = max(rate * reduction, floor), 0
    return rates


# Improvements, a long plateau, a late improvement, worsening to the end.
SCRIPT = [1.0, 0.8, 0.9, 0.85, 0.81, 0.95, 0.9, 0.7, 0.75, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_equals_the_reference_on_a_scripted_sequence(patience):
    recipe = stage(
        schedule="plateau",
        plateau_factor=0.2,
        plateau_patience=patience,
        minimum_learning_rate=1e-5,
    )
    expected = plateau_reference(SCRIPT, rate=1e-2, patience=patience, reduction=0.2, floor=1e-5)
    assert rates_by_epoch(recipe, SCRIPT) == pytest.approx(expected)


@pytest.mark.parametrize("min_delta", [1e-4, 0.06, 0.3])
def test_plateau_takes_a_gain_within_the_minimum_for_none(min_delta):
    recipe = stage(
        schedule="plateau",
        plateau_factor=0.2,
        plateau_patience=2,
        plateau_min_delta=min_delta,
        minimum_learning_rate=1e-5,
    )
    losses = [*SCRIPT[:9], *(0.7 - 0.4e-4 * n for n in range(8))]
    given = {"rate": 1e-2, "patience": 2, "reduction": 0.2, "floor": 1e-5}
    expected = plateau_reference(losses, **given, min_delta=min_delta)
    assert expected != plateau_reference(losses, **given)
    assert rates_by_epoch(recipe, losses) == pytest.approx(expected)


def test_plateau_counts_every_better_loss_however_little_better():
    losses = [1 - 1e-5 * epoch for epoch in range(12)]
    recipe = stage(schedule="plateau", plateau_patience=3)
    assert rates_by_epoch(recipe, losses) == pytest.approx([1e-2] * 12)


def test_plateau_never_falls_below_the_floor():
    recipe = stage(schedule="plateau", plateau_patience=1, minimum_learning_rate=1e-3)
    assert rates_by_epoch(recipe, [1.0] * 30)[-1] == pytest.approx(1e-3)


def test_plateau_ignores_a_loss_while_it_falls():
    recipe = stage(schedule="plateau", plateau_patience=1)
    assert rates_by_epoch(recipe, [1.0, 0.9, 0.8, 0.7]) == pytest.approx([1e-2] * 4)


def test_plateau_after_warm_up_starts_at_the_peak():
    recipe = stage(schedule="plateau", warmup=0.25, plateau_patience=2)
    rates = rates_by_epoch(recipe, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert rates[2:] == pytest.approx([1e-2] * 6)


def test_epochs_of_the_warm_up_are_no_epochs_without_progress_of_plateau():
    recipe = stage(schedule="plateau", warmup=0.5, plateau_patience=2, plateau_factor=0.1)
    rates = rates_by_epoch(recipe, [0.5] + [1.0] * 9)
    assert rates[:4] == sorted(rates[:4])
    assert rates[4:] == pytest.approx([1e-2] * 3 + [1e-3] * 2 + [1e-4])


def test_plateau_knows_the_best_loss_of_the_warm_up():
    recipe = stage(schedule="plateau", warmup=0.25, plateau_patience=1)
    rates = rates_by_epoch(recipe, [0.5, 0.4, 0.45, 0.45, 0.3, 0.3, 0.2, 0.1])
    assert rates[2:] == pytest.approx([1e-2, 2e-3, 4e-4, 4e-4, 8e-5, 8e-5])


def test_other_schedules_do_not_look_at_the_validation_loss():
    recipe = stage(schedule="constant", plateau_patience=1)
    assert rates_by_epoch(recipe, [1.0] * 10) == [1e-2] * 10


# -- Adam -----------------------------------------------------------------------------------------


def adam_reference(gradients, *, rate, epsilon, betas=(0.9, 0.999)):
    """Kingma and Ba, 2015, algorithm 1."""
    weight = m = v = 0.0
    for t, gradient in enumerate(gradients, 1):
        m = betas[0] * m + (1 - betas[0]) * gradient
        v = betas[1] * v + (1 - betas[1]) * gradient**2
        corrected = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        weight -= rate * corrected[0] / (math.sqrt(corrected[1]) + epsilon)
    return weight


@pytest.mark.parametrize("epsilon", [1e-8, 1e-7, 1e-3])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_epsilon_stands_in_the_denominator(optimizer, epsilon):
    gradients = [2e-7, -1e-7, 3e-7, 5e-8]
    model = Network(nn.Identity(), nn.Sequential(nn.Linear(1, 1)))
    bias = model.head[0].bias
    nn.init.zeros_(bias)
    recipe = stage(optimizer=optimizer, weight_decay=0.0, adam_epsilon=epsilon)
    optimiser = build_optimiser(model, recipe)
    for gradient in gradients:
        optimiser.zero_grad()
        bias.grad = torch.tensor([gradient])
        optimiser.step()
    assert float(bias.detach()) == pytest.approx(
        adam_reference(gradients, rate=1e-2, epsilon=epsilon), rel=1e-4
    )


# -- kinds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)],
)
def test_optimisers_are_torchs_own(name, kind):
    assert type(build_optimiser(network(), stage(optimizer=name))) is kind


def test_sgd_has_nesterov_momentum():
    defaults = build_optimiser(network(), stage(optimizer="sgd")).defaults
    assert defaults["momentum"] == 0.9
    assert defaults["nesterov"]


@pytest.mark.parametrize("backbone_rate", [1e-4, 1e-1])
def test_the_rate_that_is_shown_is_the_heads(backbone_rate):
    recipe = stage(schedule="constant", backbone_learning_rate=backbone_rate)
    optimiser = build_optimiser(network(), recipe)
    assert Schedule(optimiser, recipe, 4).learning_rate == 1e-2


def test_sgd_in_one_kernel_takes_up_tensors_that_begin_to_train_later(monkeypatch):
    """As on a GPU, where all tensors need momentum; steps are those of torch's plain SGD."""
    plain, real = torch.optim.SGD, torch.optim.SGD
    ends = []
    for kind in (plain, lambda groups, **options: real(groups, **options | {"fused": True})):
        monkeypatch.setattr(torch.optim, "SGD", kind)
        torch.manual_seed(0)
        model = network()
        optimiser = build_optimiser(model, stage(optimizer="sgd", learning_rate=0.1))
        for trains in (False, False, True, True):
            model.backbone.requires_grad_(trains)
            optimiser.zero_grad()
            model(torch.rand(4, 1, 3, 3)).square().sum().backward()
            optimiser.step()
        ends.append([p.detach().clone() for p in model.parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other)
