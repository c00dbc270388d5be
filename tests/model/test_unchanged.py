"""Passes that measure a network leave it as it was, whatever it makes of its buffers in them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.model.flops import count_flops
from mritk.model.latency import measure_latency
from mritk.model.unchanged import unchanged
from mritk.model.without_values import follow
from mritk.train.memory import estimate_memory


class Keeping(nn.Module):
    """Writes, replaces and makes buffers in each pass, and counts them in an attribute."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(2)
        self.passes = 0
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("bank", torch.zeros(0, 2))
        self.register_buffer("first", None)
        self.register_buffer("resized", torch.ones(1))

    def forward(self, batch):
        seen = batch.detach()
        self.passes += 1
        self.centre = 0.9 * self.centre + 0.1 * seen.mean(0)
        self.bank = torch.cat((self.bank, seen[:1]))
        if self.first is None:
            self.first = seen.mean(0)
        if not hasattr(self, "later"):
            self.register_buffer("later", seen.amax(0))
            self.cached = seen.amin(0)
        with torch.no_grad():
            self.resized.resize_(2).fill_(5)
        return self.layer(self.norm(batch) - self.centre - self.first)


def estimated(network, computed=True):
    given = torch.rand(1, 2)
    estimate_memory(network, network, given, optimizer="sgd", computed=computed)


PASSES = {
    "memory": estimated,
    "memory without values": lambda network: estimated(network, computed=False),
    "operations": lambda network: count_flops(network, (2,)),
    "latency": lambda network: measure_latency(network, (2,)),
}


@pytest.mark.parametrize("measure", PASSES.values(), ids=PASSES)
def test_the_same_tensors_come_back_with_the_same_values(measure):
    network = Keeping()
    objects = dict(network.named_buffers())
    values = {name: buffer.clone() for name, buffer in objects.items()}
    measure(network)
    after = dict(network.named_buffers())
    assert all(after[name] is buffer for name, buffer in objects.items())
    assert all(torch.equal(after[name], value) for name, value in values.items())
    assert after.keys() == objects.keys()
    assert network.first is None
    assert network.passes == 0
    assert not hasattr(network, "cached")
    assert network.training


def test_they_come_back_from_a_pass_that_fails():
    network = Keeping()
    centre = network.centre
    with pytest.raises(RuntimeError, match="must match"), unchanged(network):
        network(torch.rand(4, 2))
        network(torch.rand(4, 3))
    assert network.centre is centre
    assert network.first is None


def test_a_pass_without_values_leaves_no_tensor_without_values():
    network = Keeping()
    follow(network, network, lambda call: call(torch.rand(4, 2)), compute=False)
    assert network.first is None
    assert network.centre.tolist() == [0, 0]
    assert torch.isfinite(network(torch.rand(4, 2))).all()


class ByValue(Keeping):
    """Looks at its outputs, which have no values when a pass is only followed."""

    def forward(self, batch):
        outputs = super().forward(batch)
        return outputs if outputs.sum().item() > 0 else -outputs


def test_a_pass_that_is_computed_after_all_meets_none_either():
    network, batch = ByValue(), torch.rand(4, 2)
    follow(network, network, lambda call: call(batch), compute=False)
    torch.testing.assert_close(network.first, batch.mean(0))
    assert network.passes == 1
