"""Build a network whose tensors no earlier one of this process has, or had."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any
from weakref import WeakSet

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from mritk.errors import MritkError
from mritk.machine.usual_state import undisturbed
from mritk.records import Architecture

Address = tuple[str, int]

# Layers and parameters of earlier networks, as long as they live: a tensor may change its memory
# (for another device or format), and two may share theirs, be it that of an array of NumPy.
_layers: WeakSet[nn.Module] = WeakSet()
_parameters: Any = WeakIdKeyDictionary()
_memory: dict[StorageWeakRef, None] = {}
# The memory of their buffers, and what it held before anything was loaded or trained.
_buffers: dict[StorageWeakRef, torch.UntypedStorage] = {}
_lock = Lock()


def build_anew(architecture: Architecture) -> nn.Module:
    """Return a new network of an architecture, which starts from nothing that others learned.

    Raises:
        MritkError: It has a layer or parameter of an earlier network, or holds a buffer of one in
            an attribute, too.
    """
    with undisturbed():
        network = architecture.build()
    with _lock:
        parameters, buffers = _living(_memory), _living(_buffers)
        constants = {id(buffer) for buffer in network.buffers()}
        known = {id(one) for layer in network.modules() if layer in _layers for one in _own(layer)}
        for name, tensor in own_tensors(network):
            address = address_of(tensor.untyped_storage())
            is_known = id(tensor) in known or tensor in _parameters or address in parameters
            if is_known or (address in buffers and id(tensor) not in constants):
                raise _refusal(architecture, f"{name} of an earlier network")
        shared = separate_buffers(network)
        for module in network.modules():
            for name, tensor in _attributes(module):
                if address_of(tensor.untyped_storage()) in shared:
                    raise _refusal(architecture, f"{name}, a buffer of an earlier network, too,")
        _layers.update(network.modules())
        for parameter in filter(_has_memory, network.parameters()):
            _parameters[parameter] = True
            _memory[StorageWeakRef(parameter.untyped_storage())] = None
    return network


def separate_buffers(network: nn.Module) -> set[Address]:
    """Give a network copies of the buffers that earlier ones have: constants that many share.

    A copy holds what was there first, since an earlier network may have loaded weights into the
    constant, or trained it. A buffer that is new stays: the network may hold it elsewhere, too.

    Returns:
        Where the constants are.
    """
    known = _living(_buffers)
    copies: dict[Address, torch.UntypedStorage] = {}
    copied: dict[int, torch.Tensor] = {}  # what has several names in a network stays one
    for module in network.modules():
        for name, buffer in module._buffers.items():
            if buffer is None or not (buffer.is_leaf and _has_memory(buffer)):
                continue
            storage = buffer.untyped_storage()
            address = address_of(storage)
            if address is not None and address in known:
                copies.setdefault(address, known[address].clone())
                if id(buffer) not in copied:
                    view = buffer.storage_offset(), buffer.size(), buffer.stride()
                    empty = torch.empty(0, dtype=buffer.dtype, device=buffer.device)
                    copied[id(buffer)] = empty.set_(copies[address], *view)
                module._buffers[name] = copied[id(buffer)]
            elif address is not None:
                _buffers.setdefault(StorageWeakRef(storage), storage.clone())
    return set(copies)


def own_tensors(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and tensor of all that training or a weight file may change.

    Buffers with ``persistent=False`` are left out.
    """
    kept = {**dict(network.named_parameters()), **network.state_dict(keep_vars=True)}
    for name, tensor in kept.items():
        if isinstance(tensor, torch.Tensor) and _has_memory(tensor):
            yield name, tensor


def address_of(storage: torch.UntypedStorage) -> Address | None:
    """Return device and address of memory that tensors may share; None if there is none."""
    if storage.device.type == "meta" or not storage.nbytes():
        return None
    return str(storage.device), storage.data_ptr()


def _own(layer: nn.Module) -> Iterator[torch.Tensor]:
    yield from layer.parameters(recurse=False)
    yield from layer.buffers(recurse=False)


def _has_memory(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is one piece of memory; what waits for its first batch has none yet."""
    return not is_lazy(tensor) and tensor.layout == torch.strided


def _attributes(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors that a module holds beside its buffers and parameters, in lists too."""
    for name, value in vars(module).items():
        if name not in ("_buffers", "_parameters", "_modules"):
            inside = value.values() if isinstance(value, dict) else value
            for one in inside if isinstance(value, (dict, list, tuple)) else [value]:
                if isinstance(one, torch.Tensor) and _has_memory(one):
                    yield name, one


def _living(known: dict[StorageWeakRef, Any]) -> dict[Any, Any]:
    """Return what is known of memory by where it is now, which may have moved; forget the rest."""
    living = {}
    for reference, value in [*known.items()]:
        storage = torch.UntypedStorage._new_with_weak_ptr(reference.cdata)
        if storage is None:
            del known[reference]
        elif (address := address_of(storage)) is not None:
            living[address] = value
    return living


def _refusal(architecture: Architecture, what: str) -> MritkError:
    return MritkError(
        f"{architecture.name} of {architecture.origin}: build() returned {what}, so training might "
        "continue from what that one learned; create every layer and parameter anew in each call"
    )
