"""Draws on a device are those that ``torch.manual_seed`` would give."""

from __future__ import annotations

import pytest
import torch

from mritk.machine.seeding import seed_draws


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_draws_on_a_cpu_are_those_of_torch_manual_seed(seed):
    torch.manual_seed(seed)
    expected = torch.rand(5), torch.nn.functional.dropout(torch.ones(50))
    seed_draws(seed, torch.device("cpu"))
    assert torch.equal(torch.rand(5), expected[0])
    assert torch.equal(torch.nn.functional.dropout(torch.ones(50)), expected[1])


def test_the_cpu_and_the_gpu_are_seeded(monkeypatch):
    gpus = [torch.Generator(), torch.Generator()]
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "default_generators", gpus)
    seed_draws(3, torch.device("cuda"))
    seed_draws(4, torch.device("cuda:1"))
    assert [gpu.initial_seed() for gpu in gpus] == [3, 4]
    assert torch.default_generator.initial_seed() == 4


def test_so_is_every_other_accelerator(monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "manual_seed", seen.append)
    seed_draws(3, torch.device("xpu"))
    assert seen == [3]
