"""Build a network whose tensors no earlier one of this process has, or had."""

from __future__ import annotations

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
        MritkError: It has a parameter or a persistent buffer of an earlier network.
    """
    network = architecture.build()
    with _lock:
        _memory.difference_update([memory for memory in _memory if memory.expired()])
        own, known = list(own_tensors(network)), _known_addresses()
        for name, tensor in own:
            if tensor in _tensors or address_of(tensor.untyped_storage()) in known:
                raise MritkError(
                    f"{architecture.name} of {architecture.origin}: build() returned {name} of an "
                    "earlier network, so training would continue from what that one learned; "
                    "create every layer and parameter anew in each call"
                )
        for _, tensor in own:
            _tensors[tensor] = True
            _memory.add(StorageWeakRef(tensor.untyped_storage()))
    return network


def own_tensors(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and tensor of all that training or a weight file may change.

    Constants are left out, which networks may share: buffers with ``persistent=False``.
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
