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
# another device or format), and two tensors may share theirs.
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
        own = list(own_tensors(network))
        for name, tensor in own:
            if tensor in _tensors or memory_of(tensor) in _memory:
                raise MritkError(
                    f"{architecture.name} of {architecture.origin}: build() returned {name} of an "
                    "earlier network, so training would continue from what that one learned; "
                    "create every layer and parameter anew in each call"
                )
        for _, tensor in own:
            _tensors[tensor] = True
            _memory.add(memory_of(tensor))
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


def memory_of(tensor: torch.Tensor) -> StorageWeakRef:
    """Return what is equal for tensors in the same memory, and does not keep it alive."""
    return StorageWeakRef(tensor.untyped_storage())
