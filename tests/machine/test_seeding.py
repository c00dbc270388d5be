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


def test_every_generator_is_seeded_for_an_accelerator(monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "manual_seed", seen.append)
    seed_draws(3, torch.device("cuda"))
    assert seen == [3]
