"""LoRA: the closed form, a start that changes nothing, and a plain network at the end."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mritk.errors import MritkError, UsageError
from mritk.model.lora import LowRankUpdate, add_adapters, merge_adapters, merged_state
from mritk.protocol.recipe import Stage
from mritk.train.loop import finetune


class Block(nn.Module):
    """What a transformer is made of, and a BatchNorm."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.batch_norm = nn.BatchNorm2d(6)
        self.norm = nn.LayerNorm(6)
        self.qkv = nn.Linear(6, 18)
        self.mlp = nn.Linear(6, 5, bias=False)

    def forward(self, batch):
        tokens = self.batch_norm(self.stem(batch)).flatten(2).transpose(1, 2)
        query, key, value = self.qkv(self.norm(tokens)).chunk(3, dim=-1)
        tokens = tokens + (query @ key.transpose(1, 2)).softmax(-1) @ value
        half = tokens.shape[1] // 2
        return torch.cat(
            [self.mlp(tokens[:, :half].mean(1)), self.mlp(tokens[:, half:].mean(1))], 1
        )


BATCH = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
ALL = frozenset(Block().state_dict())


def adapted(rank=2, alpha=6.0, tensors=ALL, seed=3):
    torch.manual_seed(0)
    network = Block().eval()
    plain = copy.deepcopy(network)
    add_adapters(network, tensors, rank=rank, alpha=alpha, seed=seed)
    return network, plain


def draw(network):
    """Give the updates values as training would."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LowRankUpdate):
                module.up.copy_(torch.randn(module.up.shape, generator=generator))


def test_the_weight_is_the_closed_form():
    network, plain = adapted(rank=2, alpha=6.0)
    draw(network)
    for name in ("qkv", "mlp"):
        layer, before = getattr(network, name), getattr(plain, name)
        (update,) = layer.parametrizations.weight
        assert update.down.shape == (2, 6)
        assert update.up.shape == (layer.out_features, 2)
        expected = before.weight + 6.0 / 2 * update.up @ update.down
        torch.testing.assert_close(layer.weight, expected)


def test_it_begins_where_the_network_stands_bit_for_bit():
    network, plain = adapted()
    assert torch.equal(network(BATCH), plain(BATCH))
    assert not torch.equal(network.qkv.parametrizations.weight[0].down, torch.zeros(2, 6))


def test_only_the_factors_train():
    network, _ = adapted()
    network(BATCH).sum().backward()
    trained = [name for name, p in network.named_parameters() if p.requires_grad]
    assert trained == [
        f"{layer}.parametrizations.weight.0.{factor}"
        for layer in ("qkv", "mlp")
        for factor in ("down", "up")
    ]
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
    assert network.qkv.parametrizations.weight[0].up.grad.abs().sum() > 0


def test_merged_the_network_computes_the_same_and_has_the_shape_it_had():
    network, plain = adapted()
    draw(network)
    outputs = network(BATCH).detach()
    merge_adapters(network)
    torch.testing.assert_close(network(BATCH), outputs)
    assert type(network.qkv) is nn.Linear
    assert list(network.state_dict()) == list(plain.state_dict())
    names = [name for name, _ in network.named_parameters()]
    assert names == [name for name, _ in plain.named_parameters()], "optimisers know the order"
    plain.load_state_dict(network.state_dict())
    assert torch.equal(plain(BATCH), network(BATCH))


def test_the_merged_state_is_told_before_merging():
    network, _ = adapted()
    draw(network)
    foreseen = {name: t.clone() for name, t in merged_state(network).items()}
    merge_adapters(network)
    state = network.state_dict()
    assert foreseen.keys() == state.keys()
    assert all(torch.equal(foreseen[name], t) for name, t in state.items())


class Counting(nn.Linear):
    """Keeps a count that is no parameter or buffer, in one of two ways that torch offers."""

    def __init__(self, kept):
        super().__init__(2, 2)
        self.kept = kept

    def get_extra_state(self):
        return self.kept

    def set_extra_state(self, state):
        self.kept = state


def test_a_state_that_is_no_tensor_is_refused_in_one_line():
    with pytest.raises(MritkError, match=r"^0\._extra_state .* is a dict; .*register a buffer"):
        merged_state(nn.Sequential(Counting({"passes": 3})))
    kept = merged_state(nn.Sequential(Counting(torch.tensor(3))))["0._extra_state"]
    assert int(kept) == 3


def test_a_network_without_updates_is_left_alone():
    network = Block()
    before = {name: t.clone() for name, t in network.state_dict().items()}
    merge_adapters(network)
    state = merged_state(network)
    assert list(state) == list(before)
    assert all(torch.equal(state[name], t) for name, t in before.items())
    assert state["mlp.weight"].data_ptr() == network.mlp.weight.data_ptr(), "no copies"


def test_updates_stand_only_where_the_stage_trains():
    network, _ = adapted(tensors=frozenset({"stem.weight", "mlp.weight"}))
    assert [name for name, p in network.named_parameters() if p.requires_grad] == [
        "mlp.parametrizations.weight.0.down",
        "mlp.parametrizations.weight.0.up",
    ]
    assert type(network.qkv) is nn.Linear


def test_each_layer_and_each_seed_draws_its_own_factors():
    downs = [
        adapted(seed=seed)[0].get_submodule(layer).parametrizations.weight[0].down
        for seed in (3, 10)
        for layer in ("qkv", "mlp")
    ]
    assert not any(torch.equal(a, b) for i, a in enumerate(downs) for b in downs[:i])
    again = adapted(seed=3)[0].qkv.parametrizations.weight[0].down
    assert torch.equal(again, downs[0])
    assert all(down.abs().max() <= 6**-0.5 for down in downs)


def test_a_part_without_linear_layers_is_refused():
    with pytest.raises(UsageError, match=r"have none; use tune = 'all' or 'biases', or a transf"):
        adapted(tensors=frozenset({"stem.weight", "norm.weight", "qkv.bias"}))


# -- in a training -----------------------------------------------------------------------------


def lora(**changes):
    return Stage(**{"epochs": 3, "learning_rate": 1e-2, "tune": "lora", "lora_rank": 2, **changes})


def test_a_training_changes_weights_of_linear_layers_and_the_head_alone(record, changed):
    trained = record(lora(name="low rank"), build=Block)
    expected = {"backbone.qkv.weight", "backbone.mlp.weight", "head.0.weight", "head.0.bias"}
    assert changed(trained.start, trained.end) == expected
    assert set(trained.fitted.notes["changed_tensors"]["low rank"]) == expected
    difference = trained.end["backbone.qkv.weight"] - trained.start["backbone.qkv.weight"]
    singular = torch.linalg.svdvals(difference)
    assert singular[1] > 1e-6
    assert singular[2] < 1e-5 * singular[0], "no more than the rank"


@pytest.mark.slow
def test_it_learns(record, unseen):
    trained = record(lora(epochs=12), build=Block)
    assert trained.epochs[-1].train_loss < 0.5 * trained.epochs[0].train_loss
    hits = trained.fitted.predict(unseen).argmax(axis=1) == unseen.targets
    assert hits.mean() > 0.8


def test_the_best_epoch_is_restored_as_a_plain_network(record):
    """States are kept merged, so that a later stage of another kind can go on from them."""
    trained = record(lora(name="low"), Stage(epochs=1, name="all", learning_rate=1e-2), build=Block)
    assert list(trained.end) == list(trained.start)
    stages = trained.fitted.notes["changed_tensors"]
    assert "backbone.stem.weight" not in stages["low"]
    assert "backbone.stem.weight" in stages["all"]


def test_a_network_of_convolutions_is_told_so(make_setup):
    with pytest.raises(UsageError, match="updates linear layers"):
        finetune(make_setup(lora()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora_rank": 0}, "lora_rank must be at least 1"),
        ({"lora_alpha": 0.0}, "lora_alpha must be positive"),
        ({"unfreeze_every": 1}, "cannot be combined with unfreeze_every"),
    ],
)
def test_impossible_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        lora(**changes)
