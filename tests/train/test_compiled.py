"""torch.compile where it works, and a way back that says so once."""

from __future__ import annotations

import logging
import os

import pytest
import torch
from torch import nn

from mritk.files.workspace import Workspace
from mritk.protocol.recipe import Stage
from mritk.train import compiled as module
from mritk.train.compiled import CompiledNetwork
from mritk.train.loop import finetune


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


@pytest.mark.slow
def test_a_really_compiled_training_is_the_eager_one_but_for_rounding(
    make_setup, unseen, monkeypatch
):
    """By SGD: Adam makes a full step of a gradient that is zero but for rounding."""
    sgd = stage(optimizer="sgd")
    monkeypatch.setenv(module.CACHE, "")
    eager, compiled = finetune(make_setup(sgd)), finetune(make_setup(sgd, compile=True))
    torch._dynamo.reset()
    if compiled.notes["engine"] == "eager":
        pytest.skip("torch.compile does not work on this machine")
    assert compiled.predict(unseen) == pytest.approx(eager.predict(unseen), abs=1e-4)
    assert any(make_setup().workspace.home.glob("compiled/*")), "kept for later runs"
