"""Build a network whose tensors no earlier one of this process has, or had."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from threading import Lock
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from mritk.errors import MritkError
from mritk.records import Architecture

# What earlier networks consist of, as long as it lives: a tensor may change its memory (for
# another device or format), and two tensors may share theirs, be it that of an array of NumPy.
_tensors: Any = WeakIdKeyDictionary()
_memory: set[StorageWeakRef] = set()
_lock = Lock()


def build_anew(architecture: Architecture) -> nn.Module:
    """Return a new network of an architecture, which starts from nothing that others learned.

    Raises:
        MritkError: It has a layer or parameter of an earlier network.
    """
    network = architecture.build()
    with _lock:
        _memory.difference_update([memory for memory in _memory if memory.expired()])
        known = _known_addresses()
        for name, tensor in own_tensors(network):
            if tensor in _tensors or address_of(tensor.untyped_storage()) in known:
                raise MritkError(
                    f"{architecture.name} of {architecture.origin}: build() returned {name} of an "
                    "earlier network, so training might continue from what that one learned; "
                    "create every layer and parameter anew in each call"
                )
        copy_buffers(network)
        for _, tensor in own_tensors(network):
            _tensors[tensor] = True
            _memory.add(StorageWeakRef(tensor.untyped_storage()))
    return network


def copy_buffers(network: nn.Module) -> None:
    """Give a network buffers of its own: what it was built with may be constants that many share.

    A move to a GPU does that as well; on a processor training would write into the constants.
    """
    copied: dict[int, Any] = {}  # what has several names in a network stays one
    for module in network.modules():
        for name, buffer in [*module._buffers.items()]:
            if buffer is not None and buffer.is_leaf and not is_lazy(buffer):
                module._buffers[name] = copy.deepcopy(buffer, copied)


def own_tensors(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and tensor of all that training or a weight file may change.

    Buffers with ``persistent=False`` are left out.
    """
    kept = {**dict(network.named_parameters()), **network.state_dict(keep_vars=True)}
    for name, tensor in kept.items():
        if not isinstance(tensor, torch.Tensor) or is_lazy(tensor):
            continue  # what waits for its first batch has no memory yet
        if tensor.layout == torch.strided:
            yield name, tensor


def address_of(storage: torch.UntypedStorage) -> tuple[str, int] | None:
    """Return device and address of memory that tensors may share; None if there is none."""
    if storage.device.type == "meta" or not storage.nbytes():
        return None
    return str(storage.device), storage.data_ptr()


def _known_addresses() -> set[tuple[str, int] | None]:
    """Return where the memory of earlier networks is now, which may have moved since."""
    live = (torch.UntypedStorage._new_with_weak_ptr(memory.cdata) for memory in _memory)
    return {address_of(storage) for storage in live if storage is not None} - {None}
