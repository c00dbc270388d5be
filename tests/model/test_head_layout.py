"""A head that was described is built again with the same tensors and outputs."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from mritk.model.head_layout import build_described_head, describe_head
from mritk.model.network import build_head
from mritk.protocol.recipe import Head, HiddenLayer


@pytest.mark.parametrize(
    "layout",
    [Head(), Head(dropout=0.2), Head(True, (HiddenLayer(7, 0.1), HiddenLayer(5)), 0.3)],
    ids=["linear", "dropout", "deep"],
)
def test_there_and_back(layout):
    head = build_head(6, 3, layout).eval()
    again = build_described_head(json.loads(json.dumps(describe_head(head)))).eval()
    assert repr(again) == repr(head)
    again.load_state_dict(head.state_dict())
    batch = torch.rand(4, 6)
    assert torch.equal(again(batch), head(batch))


class Own(nn.Linear):
    """A layer that only looks like a linear one."""


@pytest.mark.parametrize(
    "head",
    [
        nn.Linear(3, 2),
        nn.Sequential(nn.Tanh()),
        nn.Sequential(Own(3, 2)),
        nn.Sequential(nn.Linear(3, 2, bias=False)),
    ],
)
def test_a_head_that_could_not_be_built_again_is_not_described(head):
    assert describe_head(head) is None


@pytest.mark.parametrize(
    "entry",
    [{"layer": "System"}, {"layer": "Linear"}, {}, {"layer": "ReLU", "inplace": True}],
)
def test_a_wrong_description_is_refused(entry):
    with pytest.raises(ValueError, match="not a head layer"):
        build_described_head([entry])
