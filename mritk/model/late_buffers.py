"""Buffers that a network makes anew in its passes: registered as None, or of a changing shape."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy


def make_room(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Make the buffers of a stored state that a network has not yet, or in another shape or dtype.

    ``load_state_dict`` would refuse them. Only those that the network has registered are made, on
    their device or that of its other tensors, for the state to be loaded into; parameters stay.

    Args:
        network: That of the state, built anew or trained on.
        state: Tensors by name.
    """
    device = next((one.device for one in chain(network.parameters(), network.buffers())), None)
    for prefix, module in network.named_modules():
        for name, buffer in module._buffers.items():
            stored = state.get(f"{prefix}.{name}" if prefix else name)
            if stored is not None and not _takes(buffer, stored):
                place = device if buffer is None else buffer.device
                module._buffers[name] = torch.empty_like(stored, device=place)


def load_state(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load a stored state, with room for its buffers."""
    make_room(network, state)
    network.load_state_dict(state)


def is_expanded(tensor: torch.Tensor) -> bool:
    """Tell whether several elements of a tensor are one in memory, so that nothing is copied in."""
    return tensor.layout == torch.strided and 0 in tensor.stride()


def _takes(buffer: torch.Tensor | None, stored: torch.Tensor) -> bool:
    """Tell whether a stored tensor can be copied into a buffer as it is."""
    if buffer is None:
        return False
    if is_lazy(buffer) or buffer.layout != torch.strided:  # loading makes room itself
        return True
    alike = buffer.shape == stored.shape and buffer.dtype == stored.dtype
    return alike and not is_expanded(buffer)
