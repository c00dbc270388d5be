"""Learning rates over steps and epochs, against torch and against short references."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mritk.model.network import Network, build_head
from mritk.protocol.recipe import Head, HiddenLayer, Recipe, Stage
from mritk.train.optimiser import Schedule, build_optimiser, factor


def network():
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    return Network(backbone, nn.Sequential(nn.Linear(2, 2)))


def stage(**changes):
    return Stage(**{"epochs": 1, "learning_rate": 1e-2, **changes})


def rates_by_step(recipe, steps):
    optimiser = build_optimiser(network(), recipe)
    schedule = Schedule(optimiser, recipe, steps)
    rates = []
    for _ in range(steps):
        rates.append(schedule.learning_rate)
        optimiser.step()
        schedule.after_step()
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


def test_steps_are_torchs_step_lr_by_the_epochs_behind():
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1e-2)
    oracle = torch.optim.lr_scheduler.StepLR(optimiser, step_size=3, gamma=0.9)
    expected = [1e-2]
    for _ in range(8):
        for _ in range(5):
            optimiser.step()
            expected.append(optimiser.param_groups[0]["lr"])
        oracle.step()
        expected[-1] = optimiser.param_groups[0]["lr"]
    recipe = stage(epochs=8, schedule="step", step_factor=0.9, step_epochs=3)
    assert rates_by_step(recipe, 40) == pytest.approx(expected, abs=1e-12)


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


# -- parameter groups --------------------------------------------------------------------------


def group_of(optimiser, parameter):
    return next(
        group for group in optimiser.param_groups if any(p is parameter for p in group["params"])
    )


def test_head_and_backbone_have_rates_of_their_own():
    model = network()
    optimiser = build_optimiser(model, stage(backbone_learning_rate=1e-4))
    assert group_of(optimiser, model.head[0].weight)["lr"] == 1e-2
    assert group_of(optimiser, model.head[0].bias)["lr"] == 1e-2
    assert group_of(optimiser, model.backbone[0].weight)["lr"] == 1e-4


def test_a_backbone_rate_of_zero_means_the_rate_of_the_head():
    assert {group["lr"] for group in build_optimiser(network(), stage()).param_groups} == {1e-2}


def test_weight_decay_spares_biases_and_norms():
    model = network()
    optimiser = build_optimiser(model, stage(weight_decay=0.1))
    decayed = [model.backbone[0].weight, model.head[0].weight]
    spared = [model.backbone[0].bias, *model.backbone[1].parameters(), model.head[0].bias]
    assert [group_of(optimiser, parameter)["weight_decay"] for parameter in decayed] == [0.1, 0.1]
    assert {group_of(optimiser, parameter)["weight_decay"] for parameter in spared} == {0.0}


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 1, 4)], ids=["layer scale", "class token"])
def test_weight_decay_spares_scales_and_tokens_however_they_are_shaped(shape):
    """torchvision's ConvNeXt writes its layer scale as (C, 1, 1); it is a vector all the same."""
    model = network()
    model.backbone.vector = nn.Parameter(torch.ones(shape))
    optimiser = build_optimiser(model, stage(weight_decay=0.1))
    assert group_of(optimiser, model.backbone.vector)["weight_decay"] == 0.0


def test_frozen_parameters_are_not_given_to_the_optimiser():
    model = network()
    model.backbone.requires_grad_(False)
    held = {p for group in build_optimiser(model, stage()).param_groups for p in group["params"]}
    assert held == set(model.head.parameters())


def test_each_trainable_parameter_is_given_once():
    model = network()
    optimiser = build_optimiser(model, stage(backbone_learning_rate=1e-4, weight_decay=0.1))
    held = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(held) == len(set(held)) == len(list(model.parameters()))


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


# -- penalties of the head -------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_l2_of_a_hidden_layer_is_the_gradient_of_its_penalty_in_the_loss(optimiser):
    """One step with ``l2`` equals one in which ``l2 · ‖W‖²`` was added to the loss by hand."""
    layout = Head(hidden=(HiddenLayer(3, l2=0.3), HiddenLayer(2)))

    def stepped(layout, penalty):
        torch.manual_seed(0)
        net = Network(nn.Linear(4, 4), build_head(4, 2, layout))
        one = build_optimiser(net, stage(optimizer=optimiser, weight_decay=0.0))
        loss = net(torch.ones(5, 4)).square().mean()
        if penalty:
            loss = loss + penalty * net.head[0].weight.square().sum()
        loss.backward()
        one.step()
        return net.state_dict()

    plain = Head(hidden=(HiddenLayer(3), HiddenLayer(2)))
    by_hand, built_in = stepped(plain, 0.3), stepped(layout, 0.0)
    without = stepped(plain, 0.0)
    for name, tensor in by_hand.items():
        torch.testing.assert_close(built_in[name], tensor)
    assert not torch.equal(without["head.0.weight"], by_hand["head.0.weight"])


def test_l2_needs_an_optimiser_whose_decay_is_that_of_the_loss():
    with pytest.raises(ValueError, match="needs the optimizer adam or sgd"):
        Recipe(stages=(stage(),), head=Head(hidden=(HiddenLayer(3, l2=0.1),)))
    Recipe(stages=(stage(optimizer="adam"),), head=Head(hidden=(HiddenLayer(3, l2=0.1),)))


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
