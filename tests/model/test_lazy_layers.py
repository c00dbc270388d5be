"""Networks with lazy layers, which take their shapes and draw their weights in the first pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mritk import Architecture, InputContract, Weights
from mritk.backbone import Backbone
from mritk.model.backbone import load_backbone
from mritk.model.lazy_layers import is_whole, make_whole
from mritk.model.model_file import untrained_network
from mritk.store.folder import ResultsFolder
from mritk.testing.backbone import inspect_backbone

LAZY = """
def build_tiny():
    from torch import nn

    return nn.Sequential(
        *(nn.LazyConv2d(8, 3, 2), nn.LazyBatchNorm2d(), nn.AdaptiveAvgPool2d((3, 1))),
        *(nn.Flatten(), nn.LazyLinear(6)),
    )
"""


def build():
    return nn.Sequential(
        *(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.LazyLinear(7)),
    )


LAZY_NET = Backbone(Architecture("net", build, InputContract(16), summary="lazy"))


def test_the_seed_decides_all_weights_whatever_was_drawn_before(workspace):
    states = []
    for drawn, seed in enumerate((5, 5, 6)):
        torch.manual_seed(drawn)
        before = torch.get_rng_state()
        states.append(load_backbone(LAZY_NET, workspace, seed).network.state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    first, same, other = states
    assert [*first["0.weight"].shape, *first["4.weight"].shape] == [4, 3, 3, 3, 7, 4]
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert not torch.equal(first["4.weight"], other["4.weight"])


def test_no_statistics_are_of_the_batch_that_gave_the_shapes():
    network = build()
    make_whole(network, (1, 3, 16, 16))
    assert is_whole(network) and network.training
    assert torch.equal(network[1].running_var, torch.ones(4))
    assert int(network[1].num_batches_tracked) == 0


def test_a_weight_file_fills_them(workspace, tmp_path):
    source = build()
    source(torch.rand(2, 3, 16, 16))
    torch.save(source.state_dict(), tmp_path / "w.pt")
    weights = Weights("net", "w", locate=lambda workspace: tmp_path / "w.pt")
    loaded = load_backbone(Backbone(LAZY_NET.architecture, weights), workspace, 0)
    batch = torch.rand(2, 3, 16, 16)
    assert torch.equal(loaded.network(batch), source.eval()(batch))
    assert loaded.report.matched == loaded.report.total == 9


def test_they_break_no_promise(workspace):
    verdicts = list(inspect_backbone(LAZY_NET, workspace))
    assert [one for one in verdicts if one.state == "failed"] == []
    assert "passed" in [one.state for one in verdicts if one.check == "state dict comes back whole"]


@pytest.mark.slow
def test_a_trial_behind_another_is_as_alone_and_its_model_is_exported(
    mritk, run_toy, tmp_path, toy
):
    toy.write_text(toy.read_text() + LAZY)
    results = ResultsFolder(tmp_path / "results")
    assert run_toy("--seeds", 2, "--keep-models").code == 0
    (behind,) = (trial for trial in results.trials() if trial.seed == 1)
    results.trial_path(behind.id).unlink()
    assert run_toy("--seeds", 2, "--keep-models").code == 0
    (alone,) = (trial for trial in results.trials() if trial.seed == 1)
    assert np.array_equal(alone.predictions["test"].score, behind.predictions["test"].score)
    told = ("--results", results.path, "-p", toy, "-o", tmp_path / "tiny.safetensors")
    ended = mritk("export", alone.id, *told)
    assert ended.code == 0, ended.err


def test_the_network_that_explanations_are_held_against_is_whole_and_always_the_same():
    told = {"head": '[{"layer": "ReLU"}]', "input_shape": "[3, 16, 16]"}
    one, other = (untrained_network(LAZY_NET.architecture, told) for _ in range(2))
    assert one.training and len(one.state_dict()) == 9
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
