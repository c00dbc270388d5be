"""torch.compile where it works, and a way back that says so once."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from mritk.files.workspace import Workspace
from mritk.model.network import Network
from mritk.protocol.recipe import Stage
from mritk.train import compiled as module
from mritk.train import graphs
from mritk.train.compiled import CompiledNetwork
from mritk.train.loop import finetune
from tests.train.recorded_work import whole_trainings


@pytest.fixture
def compiler(monkeypatch):
    """Put a function in the place of torch.compile; it is given the network."""

    def use(forward):
        def compile_(network, **options):
            assert options == {"dynamic": False, "options": {"fallback_random": True}}
            return lambda batch: forward(network, batch)

        monkeypatch.setattr(module.torch, "compile", compile_)

    return use


def refuse(network, batch):
    raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nlong\ntrace")


def test_what_compiles_is_used(compiler):
    compiler(lambda network, batch: network(batch) + 1)
    network = CompiledNetwork(nn.Identity())
    assert torch.equal(network(torch.ones(2)), torch.full((2,), 2.0))
    assert network.active


def test_what_does_not_compile_is_told_once_and_computed_the_usual_way(compiler, caplog):
    compiler(refuse)
    network = CompiledNetwork(nn.Identity())
    with caplog.at_level(logging.WARNING, "mritk"):
        for _ in range(3):
            assert torch.equal(network(torch.ones(2)), torch.ones(2))
    assert [record.getMessage() for record in caplog.records] == [
        "torch.compile failed (InvalidCxxCompiler: No working C++ compiler found); "
        "continuing without it"
    ]
    assert not network.active


def test_an_error_without_words_is_told_by_its_kind(compiler, caplog):
    def fail(network, batch):
        raise NotImplementedError

    compiler(fail)
    with caplog.at_level(logging.WARNING, "mritk"):
        CompiledNetwork(nn.Identity())(torch.ones(2))
    assert "torch.compile failed (NotImplementedError)" in caplog.text


def test_a_lack_of_memory_is_no_failure_of_the_compiler(compiler):
    """The step divides the batch, and the compiled network stays."""

    def run_out(network, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    compiler(run_out)
    network = CompiledNetwork(nn.Identity())
    with pytest.raises(torch.OutOfMemoryError):
        network(torch.ones(2))
    assert network.active


def stage(**changes):
    return Stage(**{"epochs": 2, "learning_rate": 1e-2, **changes})


def test_a_training_whose_network_does_not_compile_is_the_eager_one(compiler, make_setup, unseen):
    compiler(refuse)
    eager, compiled = finetune(make_setup(stage())), finetune(make_setup(stage(), compile=True))
    assert compiled.notes["engine"] == eager.notes["engine"] == "eager"
    assert (compiled.predict(unseen) == eager.predict(unseen)).all()


def test_a_training_tells_that_it_was_compiled(compiler, make_setup, unseen):
    """A compiler that changes nothing gives the same training."""
    calls = []
    compiler(lambda network, batch: (calls.append(len(batch)), network(batch))[1])
    trained = finetune(make_setup(stage(), compile=True))
    assert trained.notes["engine"] == "compile"
    assert calls == 10 * [8], "steps alone; predictions are computed the usual way"
    assert (trained.predict(unseen) == finetune(make_setup(stage())).predict(unseen)).all()


@pytest.mark.parametrize("wish", ["", "elsewhere"])
def test_what_is_compiled_is_kept_for_later_runs_where_nobody_wants_it_elsewhere(
    compiler, make_setup, tmp_path, monkeypatch, wish
):
    seen = []
    monkeypatch.setenv(module.CACHE, wish)
    compiler(lambda network, batch: (seen.append(os.environ[module.CACHE]), network(batch))[1])
    for home in ("first", "second"):
        finetune(make_setup(stage(epochs=1), compile=True, workspace=Workspace(tmp_path / home)))
    homes = [wish or str(tmp_path / home / "compiled") for home in ("first", "second")]
    assert list(dict.fromkeys(seen)) == list(dict.fromkeys(homes))


@pytest.fixture
def traced(monkeypatch):
    """Let torch follow networks and compile nothing; return what it has followed."""
    compile_, found = torch.compile, []

    def follow(graph, inputs):
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(
        module.torch,
        "compile",
        lambda network, **_: compile_(network, dynamic=False, backend=follow),
    )
    torch._dynamo.reset()
    yield found
    torch._dynamo.reset()


def network_of(width):
    return Network(nn.Linear(3, width), nn.Sequential(nn.ReLU(), nn.Linear(width, 2)))


@pytest.mark.slow
def test_the_next_trial_of_a_kind_takes_what_was_compiled_before(traced):
    for seed in range(3):
        torch.manual_seed(seed)
        network, batch = network_of(4), torch.randn(5, 3)
        assert torch.equal(CompiledNetwork(network)(batch), network(batch)), "with its own weights"
    assert len(traced) == 1


@pytest.mark.slow
def test_a_process_may_compile_any_number_of_kinds(traced, caplog):
    """torch would give up at the ninth."""
    compiled = [CompiledNetwork(network_of(width)) for width in range(1, 13)]
    for _ in range(2):
        for network in compiled:
            network(torch.ones(5, 3))
    assert all(network.active for network in compiled)
    assert len(traced) == 12
    assert not caplog.records


@pytest.mark.slow
def test_steps_of_a_compiled_network_are_replayed(compiler, make_setup, unseen):
    calls = []
    compiler(lambda network, batch: (calls.append(len(batch)), network(batch))[1])
    setup = make_setup(stage(), graphs=True)
    with whole_trainings() as cuda:
        both = finetune(make_setup(stage(), compile=True, graphs=True))
        assert both.notes["engine"] == "compile and graphs"
        assert len(calls) == graphs.WARM_UP + 1, "the last of them was recorded"
        assert sum(graph.replays for graph in cuda.graphs) > 0
    with whole_trainings():
        assert (both.predict(unseen) == finetune(setup).predict(unseen)).all()


def build_one_block():
    """Return few kernels: each is written in C++ and compiled."""
    return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())


@pytest.fixture
def plain_kernels():
    """Kernels without vectors: torch would first try every set of instructions that it knows.

    Nor are headers compiled ahead, which pays for dozens of kernels.
    """
    with inductor.patch({"cpp.vec_isa_ok": False, "cpp_cache_precompile_headers": False}):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("plain_kernels")
def test_a_really_compiled_training_is_the_eager_one_but_for_rounding(
    make_setup, unseen, monkeypatch
):
    """By SGD: Adam makes a full step of a gradient that is zero but for rounding."""
    setup = make_setup(stage(optimizer="sgd"), build=build_one_block)
    monkeypatch.setenv(module.CACHE, "")
    eager, compiled = finetune(setup), finetune(replace(setup, compile=True))
    torch._dynamo.reset()
    if compiled.notes["engine"] == "eager":
        pytest.skip("torch.compile does not work on this machine")
    counters["inductor"].clear()
    finetune(replace(setup, compile=True))
    torch._dynamo.reset()
    again = counters["inductor"]
    assert again["fxgraph_cache_hit"] > again["fxgraph_cache_miss"] == 0, "read, not compiled anew"
    assert compiled.predict(unseen) == pytest.approx(eager.predict(unseen), abs=1e-4)
    assert any(setup.workspace.home.glob("compiled/*")), "kept for later runs"
