"""Networks that count their passes, or keep what one computed, are explained as others are."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mritk.errors import MritkError
from mritk.explain.attribution import attributed
from mritk.explain.lent_network import LentNetwork
from mritk.model.model_file import Network
from mritk.records import Explainer
from mritk.store.explanations import read_explanations

BATCH, OUTPUTS = torch.linspace(-1, 1, 12).view(4, 3), torch.arange(4) % 2


class Plain(nn.Module):
    """Each kind of network below gives the same outputs, and keeps something else beside them."""

    def __init__(self, persistent=True):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("kept", self.at_first(), persistent=persistent)
        self.width = None

    def at_first(self):
        return None

    def keep(self, batch):
        pass

    def forward(self, batch):
        self.keep(batch)
        return self.layer(batch).tanh() - self.mean


class Counts(Plain):
    def at_first(self):
        return torch.zeros(())

    def keep(self, batch):
        self.kept += 1


class Replaces(Counts):
    def keep(self, batch):
        self.kept = self.kept + 1


class KeepsTheFirst(Plain):
    def keep(self, batch):
        if self.kept is None:
            self.kept = batch.detach().mean(0)


class KeepsPositions(Plain):
    def keep(self, batch):
        if self.width != len(batch):
            self.width, self.kept = len(batch), torch.arange(len(batch))
        assert len(self.kept) == len(batch)


def gradient(network, batch, outputs):
    batch.requires_grad_()
    chosen = network(batch).gather(1, outputs[:, None])
    return torch.autograd.grad(chosen.sum(), batch)[0]


def explained(network, explain=gradient):
    return attributed(Explainer("it", explain), network, BATCH, OUTPUTS)


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("kind", [Counts, Replaces, KeepsTheFirst, KeepsPositions])
def test_what_a_pass_changes_by_itself_is_put_back_and_no_explainer_is_blamed(kind, persistent):
    network = kind(persistent).eval()
    first, before = copy.deepcopy(network.kept), copy.deepcopy(network.state_dict())
    lent, wanted = LentNetwork(network), explained(Plain().eval())
    for _ in range(2):
        np.testing.assert_array_equal(explained(lent), wanted)
        assert (first is None and network.kept is None) or torch.equal(network.kept, first)
        assert network.width is None
        after = network.state_dict()
        assert after.keys() == before.keys() and all(
            map(torch.equal, after.values(), before.values())
        )
    network(BATCH)
    network(BATCH[:2])


@pytest.mark.parametrize("kind", [Counts, Replaces, KeepsTheFirst, KeepsPositions])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda network: network.mean.add_(1), "weights"),
        (lambda network: network.layer.weight.data.zero_(), "weights"),
        (lambda network: network.register_forward_hook(lambda *_: None), "hooks"),
    ],
)
def test_an_explainer_is_blamed_for_what_it_changes_beyond_a_pass(kind, change, told):
    def explain(network, batch, outputs):
        change(network)
        return gradient(network, batch, outputs)

    lent = LentNetwork(kind().eval())
    with pytest.raises(MritkError, match=rf"changed the network \({told}\)"):
        explained(lent, explain)
    np.testing.assert_array_equal(explained(lent), explained(Plain().eval()))


@pytest.mark.slow
def test_maps_and_their_scores_do_not_depend_on_what_is_explained_before(
    explain, monkeypatch, tmp_path
):
    forward = Network.forward

    def counted(self, batch):
        self.passes = getattr(self, "passes", 0) + 1
        return forward(self, batch) * self.passes

    monkeypatch.setattr(Network, "forward", counted)
    found = []
    for more in ((), ("-e", "integrated_gradients")):
        folder = tmp_path / str(len(more))
        ended = explain("planted2", "--cases", "20", "-o", folder, "-e", "saliency", *more)
        assert ended.code == 0, ended.err
        found.append(read_explanations(next(folder.glob("*.h5"))))
    alone, beside = found
    assert len(beside.maps) > len(alone.maps)
    for name, scores in alone.scores.items():
        np.testing.assert_array_equal(beside.scores[name], scores)
    for one, other in zip(alone.maps["saliency"], beside.maps["saliency"], strict=True):
        np.testing.assert_array_equal(one, other)
