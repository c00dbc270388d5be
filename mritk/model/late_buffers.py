"""Buffers that a network makes anew in its passes: registered as None, or of a changing shape.

``load_state_dict`` would refuse them. What is a buffer that a pass has made, and what a fault,
depends on where a state comes from: :func:`load_state` takes one that the network itself had, and
:func:`make_room` one of a file, which may belong to another network. Parameters always stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

# A module's table of buffers, and a name there.
Place = tuple[dict[str, torch.Tensor | None], str]


def load_state(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load a state that this network had earlier, or that an equal one has come to in training.

    All buffers become what they were then: of that shape and type, or None where it lacks them.
    """
    absent = network.state_dict().keys() - state.keys()
    for full, (table, name) in _registered(network):
        if full in absent:
            table[name] = None
        elif full in state and not _takes(table[name], state[full]):
            _make(network, (table, name), state[full])
    network.load_state_dict(state)


def make_room(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Make the buffers of a file's state that a network, as it is built, has no values for yet.

    Those are None or empty. Others keep their shape and type, and none goes, so that a file that
    does not fit can still be refused.

    Args:
        network: Built anew, to be filled from the file.
        state: Tensors by name.
    """
    for full, (table, name) in _registered(network):
        buffer, stored = table[name], state.get(full)
        if stored is None or _takes(buffer, stored):
            continue
        if buffer is None or not buffer.numel():
            _make(network, (table, name), stored)
        elif is_expanded(buffer):
            table[name] = buffer.clone()


def is_expanded(tensor: torch.Tensor) -> bool:
    """Tell whether several elements of a tensor are one in memory, so that nothing is copied in."""
    return tensor.layout == torch.strided and 0 in tensor.stride()


def _registered(network: nn.Module) -> Iterator[tuple[str, Place]]:
    """Yield the full name of each buffer that is registered, None or not, and where it is."""
    for prefix, module in network.named_modules():
        for name in list(module._buffers):
            yield f"{prefix}.{name}" if prefix else name, (module._buffers, name)


def _make(network: nn.Module, place: Place, stored: torch.Tensor) -> None:
    """Make a buffer for a stored tensor, on the device of the one before or of other tensors."""
    table, name = place
    beside = next(chain(network.parameters(), network.buffers()), None)
    before = table[name] if table[name] is not None else beside
    table[name] = torch.empty_like(stored, device=None if before is None else before.device)


def _takes(buffer: torch.Tensor | None, stored: torch.Tensor) -> bool:
    """Tell whether a stored tensor can be copied into a buffer as it is."""
    if buffer is None:
        return False
    if is_lazy(buffer) or buffer.layout != torch.strided:  # loading makes room itself
        return True
    alike = buffer.shape == stored.shape and buffer.dtype == stored.dtype
    return alike and not is_expanded(buffer)
