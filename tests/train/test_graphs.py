"""Steps that are replayed as a graph are the steps themselves.

On a CPU, with stand-ins for CUDA graphs that record and replay tensor operations; what a GPU makes
of it is tested in tests/gpu.
"""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from mritk import Classification
from mritk.errors import OutOfMemory
from mritk.model.objective import Objective
from mritk.train.graphs import WARM_UP, GraphedStep
from mritk.train.step import TrainingStep
from tests.train.recorded_work import pretended

TARGETS = torch.arange(8) % 3


@pytest.fixture
def cuda():
    with pretended() as cuda:
        yield cuda


def build():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten()),
        *(nn.Dropout(0.5), nn.Linear(16, 3)),
    )


class Watched:
    """A network that tells when Python runs it."""

    def __init__(self, network, cuda=None):
        self.network, self.cuda, self.calls = network, cuda, 0

    def __call__(self, batch):
        self.calls += 1
        if self.cuda:
            self.cuda.log.append(f"step on {self.cuda.streams[-1].name}")
        return self.network(batch)


def make_step(build=build, compute=None, **fields):
    """A step with an optimiser that a graph can hold: its rate is a tensor, its step one kernel."""
    torch.manual_seed(0)
    network = build().train()
    objective = Objective(Classification(("a", "b", "c")), TARGETS.numpy(), "cpu")
    optimiser = torch.optim.AdamW(network.parameters(), lr=torch.tensor(0.01), fused=True)
    compute = compute(network) if compute else network
    return TrainingStep(network, compute, objective, optimiser, **fields)


def batch(number, size=8):
    return torch.rand(size, 1, 4, 4, generator=torch.Generator().manual_seed(number))


def train(step, inner, steps, size=lambda number: 8):
    """Make steps at a rate that changes; return what they measured, copied at once."""
    measured = []
    for number in range(steps):
        count = size(number)
        loss, norm = step(batch(number, count), TARGETS[:count], 100 + number)
        measured.append((loss.clone(), norm.clone()))
        inner.optimiser.param_groups[0]["lr"].mul_(0.9)
    return measured


def assert_same(one, other):
    state, expected = one.network.state_dict(), other.network.state_dict()
    assert [n for n in expected if not torch.equal(state[n], expected[n])] == []


@pytest.mark.slow
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_replayed_steps_are_the_eager_ones_bit_for_bit(cuda, clip):
    """Dropout, BatchNorm, clipping and a rate that changes from step to step."""
    eager, inner = make_step(gradient_clip=clip), make_step(gradient_clip=clip)
    graphed = GraphedStep(inner)
    expected = train(eager, eager, 10)
    assert train(graphed, inner, 10) == expected
    assert_same(inner, eager)
    (graph,) = cuda.graphs
    assert graph.replays == 10 - WARM_UP
    assert graphed.recorded


def test_dropout_is_a_function_of_the_seed_whatever_ran_before(cuda):
    inner = make_step()
    graphed = GraphedStep(inner)
    train(graphed, inner, WARM_UP + 1)
    inner.optimiser.param_groups[0]["lr"].zero_()
    losses = []
    for seed in (5, 6, 5):
        torch.rand(7)
        losses.append(float(graphed(batch(0), TARGETS, seed)[0]))
    assert losses[0] == losses[2] != losses[1]


def test_the_first_steps_are_real_ones_beside_the_usual_stream_and_then_python_rests(cuda):
    inner = make_step(compute=lambda network: Watched(network, cuda))
    graphed = GraphedStep(inner)
    train(graphed, inner, WARM_UP)
    assert cuda.log == WARM_UP * ["side waits for main", "step on side", "main waits for side"]
    assert not cuda.graphs
    assert not graphed.recorded
    train(graphed, inner, 5)
    assert inner._compute.calls == WARM_UP + 1, "once more, to be recorded"


def test_recording_alone_changes_nothing(cuda):
    inner = make_step()
    graphed = GraphedStep(inner)
    train(graphed, inner, WARM_UP)
    before = {name: tensor.clone() for name, tensor in inner.network.state_dict().items()}
    assert graphed._record(batch(0), TARGETS)
    assert all(torch.equal(before[n], t) for n, t in inner.network.state_dict().items())


def test_a_batch_of_another_size_goes_the_usual_way_and_the_graph_stays(cuda):
    eager, inner = make_step(), make_step()
    graphed = GraphedStep(inner)

    def size(number):
        return 5 if number in (6, 9) else 8

    assert train(graphed, inner, 12, size) == train(eager, eager, 12, size)
    assert_same(inner, eager)
    assert cuda.graphs[0].replays == 12 - WARM_UP - 2


@pytest.mark.parametrize("steps_per_epoch", [2, WARM_UP + 1])
def test_what_is_recorded_is_a_whole_batch_though_its_turn_be_an_incomplete_one(
    cuda, steps_per_epoch
):
    inner = make_step()
    graphed = GraphedStep(inner)

    def size(number):
        return 5 if (number + 1) % steps_per_epoch == 0 else 8

    train(graphed, inner, WARM_UP + 1, size)
    assert not graphed.recorded
    train(graphed, inner, 1)
    assert cuda.graphs[0].replays == 1


class ReadsANumber(Watched):
    """A network that asks the device for a number, which cannot be recorded."""

    def __call__(self, batch):
        return super().__call__(batch) * (1 if float(batch.sum()) > 0 else 2)


class ShortOfMemory(Watched):
    """A network for whose recording there is no memory left."""

    def __call__(self, batch):
        if self.calls == WARM_UP:
            super().__call__(batch)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return super().__call__(batch)


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (ReadsANumber, "CUDA error: operation not permitted when stream is capturing"),
        (ShortOfMemory, "out of memory"),
    ],
)
def test_what_cannot_be_recorded_continues_eagerly_and_says_so_once(cuda, caplog, compute, reason):
    eager, inner = make_step(), make_step(compute=compute)
    graphed = GraphedStep(inner)
    with caplog.at_level(logging.WARNING, "mritk"):
        assert train(graphed, inner, 8) == train(eager, eager, 8)
    assert [record.getMessage() for record in caplog.records] == [
        f"steps cannot be replayed as a CUDA graph ({reason}); continuing in eager mode"
    ]
    assert_same(inner, eager)
    assert len(cuda.graphs) == 1, "one attempt"
    assert not graphed.recorded


class Centred(nn.Module):
    """Assigns a new running mean in each step, which the next step needs."""

    def __init__(self):
        super().__init__()
        self.layers = without_batch_norm()
        self.register_buffer("centre", torch.zeros(4))

    def forward(self, batch):
        self.centre = 0.9 * self.centre + 0.1 * batch.mean((0, 1, 2))
        return self.layers(batch - self.centre)


@pytest.mark.parametrize("compute", [None, ShortOfMemory])
def test_a_network_that_replaces_a_buffer_continues_eagerly(cuda, caplog, compute):
    eager, inner = make_step(Centred), make_step(Centred, compute)
    graphed = GraphedStep(inner)
    with caplog.at_level(logging.WARNING, "mritk"):
        assert train(graphed, inner, 8) == train(eager, eager, 8)
    assert_same(inner, eager)
    assert compute or "(the network replaces its buffers)" in caplog.text
    assert not graphed.recorded


def test_a_later_stage_does_not_say_again_what_cannot_be_recorded(cuda, caplog):
    said = set()
    with caplog.at_level(logging.WARNING, "mritk"):
        for _ in range(2):
            inner = make_step(compute=ReadsANumber)
            train(GraphedStep(inner, said), inner, WARM_UP + 1)
    assert len(caplog.records) == 1


def test_a_seed_set_inside_a_network_is_a_reason_to_go_on_eagerly(cuda, caplog):
    def compute(network):
        return lambda batch: (torch.manual_seed(3), network(batch))[1]

    eager, inner = make_step(compute=compute), make_step(compute=compute)
    with caplog.at_level(logging.WARNING, "mritk"):
        assert train(GraphedStep(inner), inner, 6) == train(eager, eager, 6)
    assert "set_current_seed" in caplog.text


class Small(Watched):
    """A network whose device holds four images."""

    def __call__(self, batch):
        if len(batch) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().__call__(batch)


def without_batch_norm():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def test_divided_batches_are_not_recorded(cuda):
    eager = make_step(without_batch_norm)
    inner = make_step(without_batch_norm, Small)
    graphed = GraphedStep(inner)
    for one, other in zip(train(graphed, inner, 6), train(eager, eager, 6), strict=True):
        torch.testing.assert_close(one, other)
    assert graphed.micro_batch == 4
    assert inner._compute.calls == 12
    assert not cuda.graphs


def test_a_batch_that_must_not_be_divided_is_refused_as_without_graphs(cuda):
    inner = make_step(compute=Small)
    with pytest.raises(OutOfMemory, match="BatchNorm computes its statistics"):
        train(GraphedStep(inner), inner, 1)
    assert len(cuda.streams) == 1, "the usual stream is current again"
