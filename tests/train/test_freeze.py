"""The freeze proof: exactly the declared part of a network changes, bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.method import SelectionRule
from mritk.protocol.recipe import Head, Stage
from mritk.train.stage_run import StageRun
from mritk.train.training import prepare
from tests.training_fixtures import untrained

HEAD = {"head.0.weight", "head.0.bias"}
LAST = SelectionRule(on="last")


class Rich(nn.Module):
    """A class token, a nested Sequential, BatchNorm, LayerNorm and dropout."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 6))
        self.stem = nn.Sequential(
            nn.Conv2d(3, 6, 4, 4), nn.BatchNorm2d(6), nn.Sequential(nn.ReLU(), nn.Conv2d(6, 6, 1))
        )
        self.middle = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 6))
        self.norm = nn.LayerNorm(6)
        self.last = nn.Linear(6, 5)

    def forward(self, batch):
        tokens = self.stem(batch).flatten(2).transpose(1, 2) + self.token
        tokens = tokens + self.middle(tokens)
        pooled = torch.cat([tokens[:, :8].mean(1), tokens[:, 8:].mean(1)])
        one, other = self.last(self.norm(pooled)).chunk(2)
        return one - other


def rich_stages(network):
    own = network.state_dict()
    return [
        (part, [name for name in own if name.startswith(part)])
        for part in ("token", "stem", "middle", "norm", "last")
    ]


def stage(**changes):
    return Stage(**{"epochs": 1, "learning_rate": 1e-2, **changes})


def under(state, *prefixes):
    return {name for name in state if name.startswith(prefixes)}


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_training_the_head_alone_leaves_every_backbone_tensor_and_buffer(
    record, changed, optimizer
):
    trained = record(stage(train_last=0.0, epochs=3, optimizer=optimizer))
    assert changed(trained.start, trained.states[-1]) == HEAD


@pytest.mark.parametrize(
    ("unit", "share", "trained_parts"),
    [
        ("stages", 0.2, ("last",)),
        ("stages", 0.4, ("norm", "last")),
        ("stages", 0.6, ("middle", "norm", "last")),
        ("stages", 1.0, ("token", "stem", "middle", "norm", "last")),
        ("layers", 0.25, ("norm", "last")),
        ("layers", 0.3, ("middle.2", "norm", "last")),
        ("layers", 0.5, ("middle", "norm", "last")),
        ("layers", 1.0, ("token", "stem", "middle", "norm", "last")),
    ],
)
def test_exactly_the_last_share_of_the_backbone_changes(
    record, changed, unit, share, trained_parts
):
    trained = record(stage(train_last=share, unit=unit, epochs=2), build=Rich, declared=rich_stages)
    parts = tuple(f"backbone.{part}" for part in trained_parts)
    expected = under(trained.start, "head.", *parts)
    assert changed(trained.start, trained.states[-1]) == expected


def test_the_second_stage_starts_from_the_first_and_frees_its_own_part(record, changed):
    trained = record(
        stage(name="head", train_last=0.0),
        stage(name="tail", train_last=0.5),
        selection=LAST,
    )
    after_head, after_tail = trained.states
    assert changed(trained.start, after_head) == HEAD
    assert changed(after_head, after_tail) == HEAD | under(after_tail, "backbone.3", "backbone.4")


def test_frozen_batch_norm_keeps_weights_and_buffers_while_all_else_trains(record, changed):
    trained = record(stage(train_last=1.0, batch_norm="frozen", epochs=2))
    norms = under(trained.start, "backbone.1.", "backbone.4.")
    assert len(norms) == 10
    assert changed(trained.start, trained.states[-1]) == set(trained.start) - norms


def test_trained_batch_norm_moves_weights_and_running_statistics(record, changed):
    trained = record(stage(train_last=1.0))
    norms = under(trained.start, "backbone.1.", "backbone.4.")
    assert norms <= changed(trained.start, trained.states[-1])


def test_a_network_with_token_norms_and_dropout_keeps_its_frozen_batch_norm(record, changed):
    trained = record(stage(batch_norm="frozen"), build=Rich, declared=rich_stages)
    frozen = under(trained.start, "backbone.stem.1.")
    assert changed(trained.start, trained.states[-1]) == set(trained.start) - frozen


def test_a_trained_part_can_be_frozen_again(record, changed):
    """Leftover gradients or momentum of an earlier stage move nothing."""
    trained = record(stage(optimizer="sgd"), stage(train_last=0.0, optimizer="sgd"), selection=LAST)
    assert changed(trained.states[0], trained.states[1]) == HEAD


def test_weight_decay_does_not_reach_frozen_tensors(record, changed):
    trained = record(stage(train_last=0.0, weight_decay=0.5))
    assert changed(trained.start, trained.states[-1]) == HEAD


def test_the_notes_name_what_really_changed_in_each_stage(record, changed):
    trained = record(
        stage(name="head", train_last=0.0),
        stage(name="tail", train_last=0.5, batch_norm="frozen"),
        selection=LAST,
    )
    notes = trained.fitted.notes["changed_tensors"]
    assert list(notes) == ["head", "tail"]
    assert set(notes["head"]) == changed(trained.start, trained.states[0])
    assert set(notes["tail"]) == changed(trained.states[0], trained.states[1])


class Swapping(Rich):
    """Training makes one of its buffers, and gives another one up."""

    def __init__(self):
        super().__init__()
        self.register_buffer("made", None)
        self.register_buffer("given_up", torch.zeros(2))

    def forward(self, batch):
        if self.training:
            self.made, self.given_up = batch.mean().detach(), None
        return super().forward(batch)


def test_the_notes_name_what_training_makes_and_what_it_gives_up(record):
    trained = record(stage(name="all", train_last=1.0), build=Swapping, selection=LAST)
    swapped = set(trained.fitted.notes["changed_tensors"]["all"]) - set(trained.start)
    assert swapped == {"backbone.made"}
    assert set(trained.start) - set(trained.states[-1]) == {"backbone.given_up"}


def test_two_stages_of_one_name_are_refused_or_both_kept_in_the_notes(record):
    """The freeze proof of the first must not be overwritten by that of the second."""
    try:
        trained = record(stage(name="fit", train_last=0.0), stage(name="fit", train_last=1.0))
    except ValueError:
        return
    assert len(trained.fitted.notes["changed_tensors"]) == 2


def test_unnamed_stages_are_numbered(record):
    trained = record(stage(train_last=0.0), stage(train_last=1.0))
    assert list(trained.fitted.notes["changed_tensors"]) == ["stage 1", "stage 2"]
    assert [epoch.stage for epoch in trained.epochs] == ["stage 1", "stage 2"]


def test_a_frozen_backbone_gives_the_same_features_in_training_and_evaluation(make_setup):
    """No dropout noise and no batch statistics come out of frozen layers."""
    training = prepare(make_setup(stage(train_last=0.0), build=Rich, declared=rich_stages))
    StageRun(training, 0, untrained(training).progress)
    batch = torch.randn(8, 3, 16, 16)
    backbone = training.network.backbone
    assert training.network.head.training
    seen = backbone(batch)
    torch.testing.assert_close(backbone(batch), seen, rtol=0, atol=0)
    torch.testing.assert_close(backbone.eval()(batch), seen, rtol=0, atol=0)


def test_dropout_in_a_frozen_flat_backbone_makes_no_noise(record):
    """With every rate at zero the training loss moves only where something is random."""

    def build():
        return nn.Sequential(
            *(nn.Conv2d(3, 8, 4, 4), nn.Dropout(0.9), nn.Conv2d(8, 8, 1), nn.ReLU()),
            *(nn.Conv2d(8, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )

    tiny = {"learning_rate": 1e-12, "optimizer": "sgd", "schedule": "constant"}
    trained = record(stage(train_last=0.3, epochs=3, **tiny), build=build)
    losses = [epoch.train_loss for epoch in trained.epochs]
    assert max(losses) - min(losses) < 1e-5


def test_train_last_1_trains_a_tensor_that_a_sequential_holds_itself(record, changed):
    class Scaled(nn.Sequential):
        def __init__(self, *modules):
            super().__init__(*modules)
            self.scale = nn.Parameter(torch.full((1,), 2.0))

        def forward(self, batch):
            return super().forward(batch) * self.scale

    def build():
        block = Scaled(nn.Conv2d(3, 6, 4, 4), nn.ReLU())
        return nn.Sequential(block, nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten())

    trained = record(stage(train_last=1.0), build=build)
    assert "backbone.0.scale" in changed(trained.start, trained.states[-1])


def test_the_batch_norm_of_the_head_always_learns(record, changed):
    recipe = {"head": Head(batch_norm=True)}
    trained = record(stage(train_last=0.0, batch_norm="frozen"), recipe=recipe)
    moved = changed(trained.start, trained.states[-1])
    assert moved == under(trained.start, "head.")
