"""Evaluation: all images, in evaluation mode, without gradients, and nothing left behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.batches.inputs import Inputs
from tests.train.recorded_work import pretended


@pytest.fixture
def inputs(make_setup):
    return Inputs(make_setup())


@pytest.fixture
def images(inputs, unseen):
    return inputs.resident(unseen)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5))


def test_every_image_is_evaluated_once_in_order(inputs, images):
    net = network()
    together, apart = (inputs.evaluate(net, images, size) for size in (100, 5))
    assert len(together) == 12
    torch.testing.assert_close(together, apart)
    (batch,) = images.in_order(100)
    torch.testing.assert_close(inputs.compute(net.eval(), batch), together)


def test_outputs_may_meet_autograd_afterwards(inputs, images):
    features = inputs.evaluate(network(), images, 5)
    assert not features.requires_grad
    assert not features.is_inference()
    head = nn.Linear(features.shape[1], 2)
    head(features).sum().backward()
    assert head.weight.grad is not None
    features.add_(1)


def test_autograd_keeps_nothing_meanwhile(inputs, images):
    """Nor is it inference mode, in which a network could keep no tensor for its training."""
    seen = []

    class Spy(nn.Module):
        def forward(self, batch):
            seen.append((torch.is_grad_enabled(), self.training, batch.is_inference()))
            return batch.flatten(1)

    inputs.evaluate(Spy(), images, 5)
    assert seen == [(False, False, False)] * 3


def test_modes_of_modules_and_statistics_are_as_before(inputs, images):
    net = network()
    net[1].eval()
    mean = net[1].running_mean.clone()
    inputs.evaluate(net, images, 5)
    assert [module.training for module in net] == [True, False, True, True]
    assert torch.equal(net[1].running_mean, mean)


def test_modes_are_as_before_even_if_the_network_fails(inputs, images):
    class Broken(nn.Module):
        def forward(self, batch):
            raise RuntimeError("broken")

    net = nn.Sequential(nn.Dropout(0.5), Broken())
    with pytest.raises(RuntimeError, match="broken"):
        inputs.evaluate(net, images, 5)
    assert net.training
    assert net[0].training
    assert not torch.is_inference_mode_enabled()


def test_a_gpu_sees_batches_of_one_shape_and_gives_the_same_outputs(inputs, images, monkeypatch):
    net, seen = network(), []
    expected = inputs.evaluate(net, images, 5)
    net.register_forward_pre_hook(lambda module, batch: seen.append(len(batch[0])))
    monkeypatch.setattr(Inputs, "one_shape", True)
    for at_once in (5, 12, 100):
        seen.clear()
        torch.testing.assert_close(inputs.evaluate(net, images, at_once), expected)
        assert set(seen) == {at_once}


class Scaled(nn.Module):
    """Assigns its buffer anew in each pass."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(1))

    def forward(self, batch):
        self.scale = self.scale * 1.0
        return batch.flatten(1) * self.scale


def test_a_graph_does_not_read_buffers_of_passes_that_have_gone(inputs, images, monkeypatch):
    """As those of the average of a training, in whose place come the network's own."""
    monkeypatch.setattr(Inputs, "replays", True)
    net = Scaled()
    own = net.scale
    with pretended():
        once = inputs.evaluate(net, images, 4)
        net.scale = own.fill_(2)
        assert torch.equal(inputs.evaluate(net, images, 4), 2 * once)
