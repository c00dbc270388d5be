"""Kernels of later networks are built ahead without a trace: no draws, no values, no errors."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mritk.backbone import Backbone
from mritk.execute import kernels_ahead
from mritk.execute.kernels_ahead import _case_of, kernels_built_ahead
from mritk.model.kernels import KernelCase, build_kernels
from mritk.plugins.registry import Registry
from mritk.protocol.recipe import Recipe, Stage
from mritk.records import Origin

REGISTRY = Registry.load(environ={})


def case(name, trained=True):
    return KernelCase(REGISTRY.backbone(f"{name}@scratch"), 64, 4, "float32", trained)


def trial(name, *stages, batch=8, size=64, images=40):
    return SimpleNamespace(
        backbone=REGISTRY.backbone(f"{name}@scratch"),
        protocol=SimpleNamespace(
            parameters=Recipe(stages=stages, batch_size=batch), precision="auto"
        ),
        input_size=size,
        division=SimpleNamespace(train=range(images)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "small_cnn"])
def test_nothing_is_drawn(name, monkeypatch):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    build_kernels(case(name), "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_forward_and_backward_are_those_of_a_training(monkeypatch):
    seen = []

    def note(module, args, output):
        norm = isinstance(module, nn.BatchNorm2d)
        seen.append((args[0].shape, module.training if norm else None, output.requires_grad))

    with nn.modules.module.register_module_forward_hook(note):
        build_kernels(case("small_cnn"), "cpu")
        build_kernels(case("small_cnn", trained=False), "cpu")
    half = len(seen) // 2
    assert seen[0][0] == (4, 3, 64, 64)
    assert all(grad for _, _, grad in seen[:half])
    assert not any(grad for _, _, grad in seen[half:])
    assert {mode for _, mode, _ in seen[:half] if mode is not None} == {True}


def test_what_a_trial_shows_its_network():
    found = _case_of(trial("resnet18", Stage(2, "all")))
    assert (found.shape, found.trained) == ((8, 3, 64, 64), True)
    assert _case_of(trial("resnet18", Stage(2, "all"), images=5)).shape[0] == 5
    assert not _case_of(trial("resnet18", Stage(2, "head", train_last=0.0))).trained
    assert _case_of(SimpleNamespace(backbone=None, protocol=trial("resnet18").protocol)) is None


def test_a_network_of_another_distribution_which_may_keep_tensors_is_left_alone():
    one = trial("small_cnn", Stage(2, "all"))
    assert _case_of(one)
    foreign = replace(one.backbone.architecture, origin=Origin("net.py"))
    one.backbone = Backbone(foreign)
    assert _case_of(one) is None


@pytest.mark.parametrize("name", ["convnext_tiny", "timm:resnet10t", "torchvision:resnet18"])
def test_networks_of_mritk_itself_are_built(name):
    assert _case_of(trial(name, Stage(2, "all")))


def test_only_networks_after_the_first_are_built_and_each_once(monkeypatch):
    built = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: torch.no_grad())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2, 2))

    def build(one, device):
        built.append(one.backbone.architecture.name)
        raise RuntimeError("what fails here is told by the training")

    monkeypatch.setattr(kernels_ahead, "build_kernels", build)
    names = ("resnet18", "small_cnn", "resnet18", "densenet121", "small_cnn")
    trials = [trial(name, Stage(1, "all")) for name in names]
    with kernels_built_ahead(trials, "cuda:0"):
        pass
    assert built in (["small_cnn", "densenet121"], ["small_cnn"], [])  # ends with the run
    built.clear()
    with kernels_built_ahead(trials, "cpu"):
        pass
    with kernels_built_ahead(trials[:1], "cuda:0"):
        pass
    assert not built
