"""Buffers that a network registers as None and makes in its first pass."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


def make_room(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Make the buffers that a stored state has and a network that has seen no input has not yet.

    ``load_state_dict`` would refuse their names. Only those that the network has registered are
    made, on the device of its other tensors, for the state to be loaded into.

    Args:
        network: That of the state, built anew.
        state: Tensors by name.
    """
    device = next((tensor.device for tensor in network.state_dict().values()), None)
    for prefix, module in network.named_modules():
        for name, buffer in module._buffers.items():
            stored = state.get(f"{prefix}.{name}" if prefix else name)
            if buffer is None and stored is not None:
                module._buffers[name] = torch.empty_like(stored, device=device)
