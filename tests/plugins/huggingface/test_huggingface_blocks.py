"""Numbered modules become the blocks of a network, in the order in which images pass them."""

from __future__ import annotations

import pytest
from torch import nn

from mritk_huggingface.blocks import numbered_blocks


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        # PoolFormer, PVT; a closing norm belongs to the last stage
        (
            {"parts": {"embeddings": 2, "block": 2, "norm": 0}},
            [
                ["parts.embeddings.0", "parts.block.0"],
                ["parts.embeddings.1", "parts.block.1", "parts.norm"],
            ],
        ),
        ({"a": {"layers": 1}, "b": {"layers": 1}}, [["a.layers.0"], ["b.layers.0"]]),
        ({"a": {"head": 1, "down": 2}}, [["a.head.0"], ["a.down.0"], ["a.down.1"]]),
    ],
    ids=["stages in two lists", "one part behind the other", "lists of other lengths"],
)
def test_lists_that_hold_parts_of_the_same_stages_are_joined_by_number(lists, expected) -> None:
    def listed(count: int) -> nn.Module:
        return nn.ModuleList(nn.Linear(1, 1) for _ in range(count)) if count else nn.LayerNorm(1)

    network = nn.ModuleDict(
        {
            parent: nn.ModuleDict({name: listed(count) for name, count in children.items()})
            for parent, children in lists.items()
        }
    )
    blocks = numbered_blocks(network)
    found = [list(dict.fromkeys(t.rpartition(".")[0] for t in tensors)) for _, tensors in blocks]
    assert found == expected
    assert [title for title, _ in blocks] == [modules[0] for modules in expected]
