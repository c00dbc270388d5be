"""Follow a network's forward pass on tensors that have shapes, but no values.

Nothing is computed. On a GPU no kernel is built for a shape that only a count needs, which takes
its libraries up to seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.func import functional_call

from mritk.errors import one_line
from mritk.model.traces import TracingMode
from mritk.model.unchanged import same_contents, unchanged

logger = logging.getLogger("mritk")

T = TypeVar("T")
Call = Callable[[torch.Tensor], torch.Tensor]


def follow(network: nn.Module, call: Call, work: Callable[[Call], T], *, compute: bool) -> T:
    """Return what ``work`` finds out when it is given ``call``.

    Args:
        network: What the call goes through. If nothing is computed, it stays as it is.
        call: From a batch to outputs.
        work: Makes a batch and calls.
        compute: Whether values are computed. If not, they are still where an operation cannot be
            followed without, for want of a description or because it depends on them.
    """
    if compute:
        return work(call)
    mode = TracingMode()
    try:
        with same_contents(network), unchanged(network), mode:
            return work(_without_values(network, call))
    except Exception as error:
        logger.info("a pass cannot be followed without values: %s", one_line(error))
    finally:
        mode.forget()
    return work(call)


def _without_values(network: nn.Module, call: Call) -> Call:
    """Return a call like this one, with parameters and buffers that have no values."""
    whole = _Through(network, call)
    tensors = (*whole.named_parameters(), *whole.named_buffers())
    shapes = {name: _shape_of(tensor) for name, tensor in tensors}
    return lambda batch: functional_call(whole, shapes, (batch,))


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return a new tensor like this one, without its gradient."""
    like = torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )
    return like.requires_grad_(tensor.requires_grad)


class _Through(nn.Module):
    """A function that goes through a network, as a module that holds the network."""

    def __init__(self, network: nn.Module, call: Call) -> None:
        super().__init__()
        self.network = network
        self._held = (call,)  # a call that is a network would be held as a second one

    def forward(self, batch: torch.Tensor) -> Any:
        (call,) = self._held
        return call(batch)
