"""Ways to train a stage: what changes in which epoch, at which rate, and what is kept."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
import torch
from torch import nn

from mritk.errors import OutOfMemory, UsageError
from mritk.method import SelectionRule
from mritk.model.blocks import default_blocks, layers_of
from mritk.model.lora import add_adapters
from mritk.model.network import Network
from mritk.protocol.recipe import Stage
from mritk.train.divergence import LossWatch
from mritk.train.loop import finetune
from mritk.train.optimiser import build_optimiser

HEAD = {"head.0.weight", "head.0.bias"}
LAST = SelectionRule(on="last")


def stage(**changes):
    return Stage(**{"epochs": 2, "learning_rate": 1e-2, **changes})


def under(state, *prefixes):
    return {name for name in state if name.startswith(prefixes)}


def changed_per_epoch(trained, changed):
    states = [trained.start, *trained.states]
    return [changed(before, after) for before, after in pairwise(states)]


# -- gradual unfreezing ------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_one_more_unit_joins_per_epoch_from_the_output(record, changed, optimizer):
    """The units of the small network are 0 (convolution), 1 (BatchNorm), 3 and 4."""
    gradual = stage(epochs=6, unfreeze_every=1, optimizer=optimizer, schedule="constant")
    trained = record(gradual)
    units = ["backbone.4.", "backbone.3.", "backbone.1.", "backbone.0."]
    expected = [HEAD | under(trained.start, *units[:n]) for n in (0, 1, 2, 3, 4, 4)]
    # Behind a convolution BatchNorm takes its bias away: the gradient is zero but for rounding.
    idle = {"backbone.0.bias", "backbone.3.bias"}
    found = changed_per_epoch(trained, changed)
    assert [names - idle for names in found] == [names - idle for names in expected]
    assert all(names <= allowed for names, allowed in zip(found, expected, strict=True))


def test_units_join_after_so_many_epochs_and_no_more_than_the_stage_trains(record, changed):
    trained = record(stage(epochs=7, unfreeze_every=2, train_last=0.5, schedule="constant"))
    one = HEAD | under(trained.start, "backbone.4.")
    two = one | under(trained.start, "backbone.3.")
    assert changed_per_epoch(trained, changed) == [HEAD, HEAD, one, one, two, two, two]


def test_units_may_be_layers_and_biases(record, changed):
    gradual = stage(epochs=3, unfreeze_every=1, unit="layers", tune="biases", schedule="constant")
    trained = record(gradual)
    joined = ["backbone.4.bias", "backbone.3.bias"]
    expected = [HEAD, HEAD | set(joined[:1]), HEAD | set(joined)]
    assert changed_per_epoch(trained, changed) == expected


def test_a_frozen_batch_norm_rests_until_its_unit_joins(record):
    """Its running statistics would move in training mode."""
    trained = record(stage(epochs=3, unfreeze_every=1))
    means = [state["backbone.4.running_mean"] for state in (trained.start, *trained.states)]
    assert torch.equal(means[0], means[1])
    assert not torch.equal(means[1], means[2])


# -- biases ------------------------------------------------------------------------------------


def test_biases_alone_change_and_statistics_stay(record, changed):
    trained = record(stage(epochs=3, tune="biases"))
    biases = {f"backbone.{unit}.bias" for unit in (0, 1, 3, 4)}
    assert changed(trained.start, trained.end) == HEAD | biases


def test_biases_of_a_frozen_batch_norm_stay_too(record, changed):
    trained = record(stage(tune="biases", batch_norm="frozen"))
    assert changed(trained.start, trained.end) == HEAD | {"backbone.0.bias", "backbone.3.bias"}


def test_biases_of_a_backbone_without_any_are_refused_unless_the_head_alone_is_meant(make_setup):
    def fit(**changes):
        setup = make_setup(stage(epochs=1, tune="biases", **changes), build=without_biases)
        return finetune(setup)

    def without_biases():
        return nn.Sequential(nn.Conv2d(3, 4, 4, 4, bias=False), nn.BatchNorm2d(4), nn.Flatten())

    with pytest.raises(UsageError, match=r"no bias that may change; use tune = 'all', or train_"):
        fit(batch_norm="frozen")
    fit()
    fit(batch_norm="frozen", train_last=0.0)


class Attention(nn.Module):
    """torch's own attention, which calls its biases in another way."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, batch):
        tokens = self.stem(batch).flatten(2).transpose(1, 2)
        return (tokens + self.attention(tokens, tokens, tokens)[0]).flatten(1)


def test_biases_of_queries_keys_and_values_are_biases(record, changed):
    trained = record(stage(tune="biases"), build=Attention)
    biases = {"stem.bias", "attention.in_proj_bias", "attention.out_proj.bias"}
    assert changed(trained.start, trained.end) == HEAD | {f"backbone.{name}" for name in biases}


def test_low_rank_updates_reach_the_output_projection_of_torchs_attention(record, changed):
    trained = record(stage(tune="lora"), build=Attention)
    expected = HEAD | {"backbone.attention.out_proj.weight"}
    assert changed(trained.start, trained.end) == expected


# -- rates -------------------------------------------------------------------------------------


def four_layers():
    layers = [nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.Linear(4, 4)]
    return Network(nn.Sequential(*layers), nn.Sequential(nn.Linear(4, 2)))


def rates(network, optimiser):
    names = {parameter: name for name, parameter in network.named_parameters()}
    groups = optimiser.param_groups
    return {names[p]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}


def decaying(**changes):
    given = {"learning_rate": 0.5, "backbone_learning_rate": 0.25, "weight_decay": 0.1}
    return Stage(epochs=1, optimizer="sgd", **{"layer_decay": 0.5, **given, **changes})


@pytest.mark.parametrize("units_of", [default_blocks, layers_of])
def test_the_rate_falls_by_the_decay_with_each_unit_from_the_output(units_of):
    network = four_layers()
    optimiser = build_optimiser(network, decaying(), units_of(network.backbone))
    expected = {"head.0.weight": (0.5, 0.1), "head.0.bias": (0.5, 0.0)}
    for number in range(4):
        rate = 0.25 * 0.5 ** (4 - number)
        decay = 0.0 if number == 1 else 0.1
        expected[f"backbone.{number}.weight"] = (rate, decay)
        expected[f"backbone.{number}.bias"] = (rate, 0.0)
    assert rates(network, optimiser) == expected
    assert optimiser.param_groups[0]["lr"] == 0.5, "the head's rate is the one that is shown"


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("units_of", [default_blocks, layers_of])
def test_a_closing_norm_is_no_depth_of_its_own(units_of, shape):
    """Bao et al. and timm: the last block has the decay once, whether a norm follows or not."""
    layers = [nn.Linear(4, 4), nn.Linear(4, 4), nn.LayerNorm(shape)]
    network = Network(nn.Sequential(*layers), nn.Sequential(nn.Linear(4, 2)))
    found = rates(network, build_optimiser(network, decaying(), units_of(network.backbone)))
    assert found["backbone.2.weight"] == (0.25 * 0.5, 0.0)
    assert found["backbone.1.weight"] == (0.25 * 0.5, 0.1)
    assert found["backbone.0.weight"] == (0.25 * 0.25, 0.1)


def test_low_rank_updates_have_the_rate_of_their_layer():
    network = four_layers()
    units = default_blocks(network.backbone)
    weights = frozenset(network.backbone.state_dict())
    add_adapters(network.backbone, weights, rank=2, alpha=4.0, seed=0)
    found = rates(network, build_optimiser(network, decaying(tune="lora"), units))
    for number in (0, 2, 3):
        for factor in ("down", "up"):
            name = f"backbone.{number}.parametrizations.weight.0.{factor}"
            assert found.pop(name) == (0.25 * 0.5 ** (4 - number), 0.1)
    assert set(found) == {"head.0.weight", "head.0.bias"}


def test_without_decay_all_of_the_backbone_has_one_rate():
    network = four_layers()
    units = default_blocks(network.backbone)
    found = rates(network, build_optimiser(network, decaying(layer_decay=1.0), units))
    assert {rate for name, (rate, _) in found.items() if name.startswith("backbone")} == {0.25}


def test_a_deep_layer_moves_less_in_a_training(record):
    """By SGD, whose steps are proportional to the rate; a strong decay all but freezes."""

    def moved(decay):
        sgd = stage(epochs=1, optimizer="sgd", layer_decay=decay)
        trained = record(sgd)
        name = "backbone.0.weight"
        return float((trained.end[name] - trained.start[name]).norm())

    assert moved(0.1) < 1e-2 * moved(1.0)


def test_steps_fall_with_whole_epochs_where_rows_roll_over(record, monkeypatch):
    """40 rows in batches of 12: three steps, and in every third epoch four."""
    rates, add = {}, LossWatch.add

    def told(watch, loss, norm, learning_rate):
        rates.setdefault(watch.epoch, []).append(learning_rate)
        add(watch, loss, norm, learning_rate)

    monkeypatch.setattr(LossWatch, "add", told)
    falling = stage(epochs=6, schedule="step", step_epochs=2, step_factor=0.5)
    record(stage(epochs=1, schedule="constant"), falling, recipe={"batch_size": 12})
    assert [len(of_epoch) for of_epoch in rates.values()] == [3, 3, 4, 3, 3, 4, 3]
    expected = [1e-2, *(1e-2 * 0.5 ** (epoch // 2) for epoch in range(6))]
    assert [set(of_epoch) for of_epoch in rates.values()] == [{rate} for rate in expected]


# -- the moving average ------------------------------------------------------------------------

WHOLE = {"batch_size": 40, "average": 0.6}  # one step per epoch: every state is seen


def averages(trained, decay=0.6):
    """The closed form, from the states after each step."""
    average, kept = dict(trained.start), []
    for number, state in enumerate(trained.states, 1):
        d = min(decay, (1 + number) / (10 + number))
        average = {
            name: d * average[name] + (1 - d) * tensor if tensor.is_floating_point() else tensor
            for name, tensor in state.items()
        }
        kept.append(average)
    return kept


def loss_of(training, state):
    own = {name: tensor.clone() for name, tensor in training.network.state_dict().items()}
    training.network.load_state_dict(state)
    outputs = training.evaluate(training.val)
    training.network.load_state_dict(own)
    targets = training.objective.prepare(training.setup.val.targets)
    return float(training.objective.plain_loss(outputs, targets))


def test_the_average_is_what_is_scored(record):
    trained = record(stage(epochs=6), recipe=WHOLE)
    expected = [loss_of(trained.training, state) for state in averages(trained)]
    told = [epoch.val_loss for epoch in trained.epochs]
    assert told == pytest.approx(expected, rel=1e-4)
    own = [loss_of(trained.training, state) for state in trained.states]
    assert told != pytest.approx(own, rel=1e-3)


@pytest.mark.parametrize("rule", [SelectionRule(), LAST])
def test_the_average_is_what_is_kept(record, rule):
    trained = record(stage(epochs=6), recipe=WHOLE, selection=rule)
    selected = trained.fitted.notes["selected_epoch"]
    expected = averages(trained)[selected - 1]
    for name, tensor in trained.end.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6)


def test_the_training_itself_goes_on_from_its_own_weights(record):
    """The average watches: steps are those of a training without one."""
    watched = record(stage(epochs=3), recipe=WHOLE)
    alone = record(stage(epochs=3), recipe={"batch_size": 40})
    for one, other in zip(watched.states, alone.states, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_next_stage_begins_where_the_average_ended(record):
    """Its rate is too small to move what counts."""
    still = stage(epochs=1, learning_rate=1e-12, train_last=0.0, optimizer="sgd")
    trained = record(stage(epochs=6), still, recipe=WHOLE)
    best = min(epoch.val_loss for epoch in trained.epochs[:6])
    assert trained.epochs[6].val_loss == pytest.approx(best, rel=1e-5)


# -- memory ------------------------------------------------------------------------------------


class Hungry(nn.Sequential):
    """Its device holds two images at once when gradients are kept."""

    def forward(self, batch):
        if len(batch) > 2 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(batch)


def layers(norm):
    return *(nn.Conv2d(3, 6, 4, 4), norm, nn.ReLU()), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten()


def test_a_training_in_parts_is_the_whole_one(record, caplog):
    sgd = stage(optimizer="sgd")
    with caplog.at_level(logging.WARNING, "mritk"):
        parts = record(sgd, build=lambda: Hungry(*layers(nn.GroupNorm(2, 6))))
    whole = record(sgd, build=lambda: nn.Sequential(*layers(nn.GroupNorm(2, 6))))
    torch.testing.assert_close(parts.end, whole.end)
    assert parts.fitted.notes["micro_batch_size"] == 2
    assert whole.fitted.notes["micro_batch_size"] == 8
    assert caplog.text.count("the device ran out of memory") == 2, "8, then 4; learnt once"


def test_a_stage_with_frozen_batch_norm_may_be_divided(record):
    trained = record(stage(batch_norm="frozen"), build=lambda: Hungry(*layers(nn.BatchNorm2d(6))))
    assert trained.fitted.notes["micro_batch_size"] == 2


@pytest.mark.parametrize(
    "stages",
    [
        (stage(),),
        (stage(train_last=0.0), stage()),
        (stage(unfreeze_every=1, epochs=3),),
    ],
    ids=["at once", "after the head alone", "when it joins"],
)
def test_batch_norm_that_learns_is_never_divided_whatever_went_before(make_setup, stages):
    setup = make_setup(*stages, build=lambda: Hungry(*layers(nn.BatchNorm2d(6))))
    with pytest.raises(
        OutOfMemory, match=r"with batch size 8 .* would change the recipe, because BatchNorm"
    ):
        finetune(setup)


def test_what_a_later_stage_cannot_do_is_told_before_the_first_trains(make_setup):
    epochs = []
    impossible = Stage(1, "adapt", tune="lora")  # the small network has no linear layer
    with pytest.raises(UsageError, match="tune = 'lora' updates linear layers"):
        finetune(make_setup(Stage(1, "all"), impossible, on_epoch=epochs.append))
    assert epochs == []
