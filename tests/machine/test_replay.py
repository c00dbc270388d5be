"""A computation that is replayed as a CUDA graph is the computation; with stand-ins for CUDA."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.machine.replay import Replayed
from mritk.model.latency import PASSES, _measured, _replayed, measure_replayed_latency
from tests.train.recorded_work import pretended


@pytest.fixture
def cuda():
    with pretended() as cuda:
        yield cuda


class Layer(nn.Linear):
    """Tells how often Python ran it."""

    calls = 0

    def forward(self, batch):
        self.calls += 1
        return super().forward(batch)


def batches(count, size=4):
    return torch.rand(count, size, 3, generator=torch.Generator().manual_seed(0))


def computed(layer, given):
    return torch.stack([layer(batch) for batch in given])


@torch.inference_mode()
def replay(graph, layer, given):
    graph.reads([*layer.parameters(), *layer.buffers()])
    return [graph(layer, batch) for batch in given]


def test_outputs_are_those_of_the_computation_and_stay_what_they_are(cuda):
    layer, graph = Layer(3, 2), Replayed("cpu")
    found = replay(graph, layer, batches(5))
    assert layer.calls == 2, "once as ever, and once to be recorded"
    assert torch.equal(torch.stack(found), computed(layer, batches(5)))
    assert graph.recorded
    assert cuda.log[:2] == ["side waits for main", "main waits for side"]


def test_weights_that_changed_where_they_stand_are_read_anew(cuda):
    layer, graph = Layer(3, 2), Replayed("cpu")
    replay(graph, layer, batches(2))
    with torch.no_grad():
        layer.weight.add_(1)
    assert torch.equal(replay(graph, layer, batches(1))[0], layer(batches(1)[0]))
    assert len(cuda.graphs) == 1


def test_weights_that_stand_elsewhere_are_recorded_anew(cuda):
    layer, graph = Layer(3, 2), Replayed("cpu")
    replay(graph, layer, batches(2))
    layer.weight = nn.Parameter(layer.weight.detach().clone() + 1)
    assert torch.equal(torch.stack(replay(graph, layer, batches(3))), computed(layer, batches(3)))
    assert len(cuda.graphs) == 2


def test_another_shape_is_recorded_in_place_of_the_first(cuda):
    layer, graph = Layer(3, 2), Replayed("cpu")
    for size in (4, 5):
        expected = computed(layer, batches(3, size))
        assert torch.equal(torch.stack(replay(graph, layer, batches(3, size))), expected)


def test_what_cannot_be_recorded_is_computed_and_the_reason_known(cuda):
    class Reads(Layer):
        def forward(self, batch):
            return super().forward(batch) * (1 if float(batch.sum()) > 0 else 2)

    layer, graph = Reads(3, 2), Replayed("cpu")
    found = replay(graph, layer, batches(4))
    assert torch.equal(torch.stack(found), computed(layer, batches(4)))
    assert graph.failure == "CUDA error: operation not permitted when stream is capturing"
    assert not graph.recorded
    assert len(cuda.graphs) == 1, "one attempt"


def test_an_error_without_words_is_a_reason_by_its_type(cuda):
    class Unwilling(Layer):
        def forward(self, batch):
            if self.calls == 1:
                self.calls += 1
                raise NotImplementedError
            return super().forward(batch)

    layer, graph = Unwilling(3, 2), Replayed("cpu")
    found = replay(graph, layer, batches(3))
    assert torch.equal(torch.stack(found), computed(layer, batches(3)))
    assert graph.failure == "NotImplementedError"


def test_the_replayed_latency_is_that_of_replays(cuda):
    """Python runs the network twice, however many passes are timed."""
    layer, runs = nn.Linear(3, 2), []
    layer.register_forward_hook(lambda *_: runs.append("run"))
    assert measure_replayed_latency(layer, (3,)) is None, "it is not on a GPU"
    assert _measured(layer, (3,), "float32", _replayed) > 0
    assert len(runs) == 2
    assert cuda.graphs[0].replays > PASSES
