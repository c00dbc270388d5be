"""Layers that take their shapes from a network's first batch, such as ``nn.LazyLinear``.

They draw their weights in that pass.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mritk.model.evaluation_mode import evaluation_mode


def is_whole(network: nn.Module) -> bool:
    """Tell whether every tensor of a network has its shape."""
    return not any(is_lazy(one) for one in (*network.parameters(), *network.buffers()))


def make_whole(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Give each layer its shape, and draw its weights, by a pass of zeros.

    Args:
        network: The network, in any mode.
        shape: (N, C, *spatial) of a batch that it takes.
    """
    with evaluation_mode(network), torch.no_grad():
        network(torch.zeros(shape))
