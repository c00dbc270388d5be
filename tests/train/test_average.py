"""The moving average against its closed form and torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mritk.model.late_buffers import load_state
from mritk.train.average import MovingAverage


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def step(network, number):
    """Move all tensors, BatchNorm's statistics and counter included."""
    generator = torch.Generator().manual_seed(number)
    network(torch.randn(4, 1, 2, 2, generator=generator))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))


def held(average, network):
    with average.in_place():
        return {name: t.clone() for name, t in network.state_dict().items()}


def test_the_average_is_the_closed_form_of_all_states():
    """With weights that follow from d_n = min(decay, (1 + n) / (10 + n)), the start included."""
    network, decay = make(), 0.3
    average = MovingAverage(network, decay)
    states = [network[3].weight.detach().double().clone()]
    weights = [1.0]
    for number in range(1, 8):
        step(network, number)
        average.update()
        states.append(network[3].weight.detach().double().clone())
        kept = min(decay, (1 + number) / (10 + number))
        weights = [kept * weight for weight in weights] + [1 - kept]
    assert min(decay, 2 / 11) < decay == min(decay, 8 / 17), "both branches were taken"
    assert sum(weights) == pytest.approx(1)
    expected = sum(w * s for w, s in zip(weights, states, strict=True)).float()
    torch.testing.assert_close(held(average, network)["3.weight"], expected)


def test_with_a_decay_below_the_ramp_it_is_torchs_own():
    """torch starts from a copy at its first update, as this does from the beginning."""
    network, decay = make(), 2 / 11
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)
    theirs.update_parameters(network)
    ours = MovingAverage(network, decay)
    for number in range(5):
        step(network, number)
        theirs.update_parameters(network)
        ours.update()
    mine = held(ours, network)
    for name, parameter in theirs.module.named_parameters():
        torch.testing.assert_close(mine[name], parameter.detach())


def test_statistics_are_averaged_and_counters_are_taken_as_they_are():
    network = make()
    average = MovingAverage(network, 0.9)
    before = network[1].running_mean.clone()
    step(network, 0)
    average.update()
    mine = held(average, network)
    torch.testing.assert_close(
        mine["1.running_mean"], torch.lerp(before, network[1].running_mean, 9 / 11)
    )
    assert mine["1.num_batches_tracked"] == network[1].num_batches_tracked == 1


def test_the_network_has_its_own_tensors_again_after_the_block_whatever_happens():
    network = make()
    average = MovingAverage(network, 0.9)
    step(network, 0)
    average.update()
    own = {name: t.clone() for name, t in network.state_dict().items()}
    with pytest.raises(KeyError), average.in_place():
        assert not torch.equal(network[3].weight, own["3.weight"])
        raise KeyError
    assert all(torch.equal(t, own[name]) for name, t in network.state_dict().items())


def test_handed_over_it_stays():
    network = make()
    average = MovingAverage(network, 0.9)
    step(network, 0)
    average.update()
    expected = held(average, network)
    average.hand_over()
    assert all(torch.equal(t, expected[name]) for name, t in network.state_dict().items())


def test_it_resumes_from_its_state_bit_for_bit():
    network, other = make(), make()
    one, two = MovingAverage(network, 0.9), MovingAverage(other, 0.9)
    for number in range(3):
        step(network, number)
        one.update()
    other.load_state_dict(network.state_dict())
    two.load(one.state())
    for each, average in ((network, one), (other, two)):
        step(each, 3)
        average.update()
    assert all(torch.equal(t, held(two, other)[n]) for n, t in held(one, network).items())


class Centred(nn.Module):
    """Keeps a running mean, written or assigned anew, and rows from the third step on."""

    def __init__(self, replaced):
        super().__init__()
        self.replaced, self.steps = replaced, 0
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("rows", None)
        self.register_buffer("constant", torch.ones(1).expand(2))

    def forward(self, batch):
        new = 0.9 * self.centre + 0.1 * batch.mean(0)
        if self.replaced:
            self.centre = new
        else:
            self.centre.copy_(new)
        self.steps += 1
        if self.steps >= 3:
            self.rows = batch[: self.steps]
        return (batch - self.centre) * self.weight


def batch_of(number):
    return torch.randn(8, 2, generator=torch.Generator().manual_seed(number))


def advance(network, average, numbers):
    for number in numbers:
        with torch.no_grad():
            network(batch_of(number))
        average.update()


def centred(replaced=True, steps=0):
    network = Centred(replaced)
    average = MovingAverage(network, 0.9)
    advance(network, average, range(steps))
    return network, average


def test_a_buffer_that_is_replaced_is_averaged_as_one_that_is_written():
    written, replaced = (held(*reversed(centred(kind, steps=6))) for kind in (False, True))
    assert replaced["centre"].abs().min() > 0
    assert all(torch.equal(tensor, written[name]) for name, tensor in replaced.items())


def test_a_buffer_of_another_shape_is_averaged_from_there_on():
    network, average = centred(steps=2)
    assert "rows" not in held(average, network)
    advance(network, average, [2])
    assert torch.equal(held(average, network)["rows"], batch_of(2)[:3])
    advance(network, average, [3])
    assert torch.equal(held(average, network)["rows"], batch_of(3)[:4])
    with torch.no_grad():
        network.rows = network.rows + 1  # of the same shape
    average.update()
    kept = 6 / 15  # of the fifth step
    torch.testing.assert_close(held(average, network)["rows"], batch_of(3)[:4] + 1 - kept)


def test_buffers_that_are_replaced_inside_the_block_are_the_networks_own_again():
    network, average = centred(steps=4)
    own = {name: (buffer, buffer.clone()) for name, buffer in network.named_buffers()}
    with average.in_place():
        assert network.centre is own["centre"][0]
        assert not torch.equal(network.centre, own["centre"][1])
        network(batch_of(9))
    assert all(getattr(network, name) is buffer for name, (buffer, _) in own.items())
    assert all(torch.equal(buffer, value) for buffer, value in own.values())


def test_it_resumes_with_buffers_that_were_made_in_steps():
    network, average = centred(steps=4)
    saved = {"steps": average.state()["steps"], "tensors": dict(average.state()["tensors"])}
    other, resumed = centred()
    load_state(other, network.state_dict())
    other.steps = network.steps
    resumed.load(saved)
    for each, mean in ((network, average), (other, resumed)):
        advance(each, mean, range(4, 7))
    mine = held(resumed, other)
    assert mine["rows"].shape == (7, 2)
    assert all(torch.equal(tensor, mine[n]) for n, tensor in held(average, network).items())
