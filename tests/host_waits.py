"""Where the host would wait for a GPU, found without one: on tensors that have no values.

Between two steps of training the host must run ahead of the device, or the device idles. It waits
for a transfer that is not ``non_blocking``, for a value that is fetched (``item``, ``if tensor``),
and for an operation whose result has a size that depends on values (``nonzero``, a Boolean mask as
an index).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = "cuda"
COPIES = (torch.ops.aten._to_copy, torch.ops.aten.copy_)
INDEXING = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)


class UnknownWaits(Exception):
    """This version of torch cannot tell, for the reason given."""


def host_waits(work: Callable[[torch.Tensor], object], shape: Sequence[int]) -> list[str]:
    """Return for what the host would wait if ``work`` were given a float32 batch on a GPU.

    Tensors on the CPU have their values, as random draws do; those on the GPU have none.

    Raises:
        UnknownWaits: An operation has no description in torch by which it could be followed.
    """
    fake, watched = FakeTensorMode(allow_non_fake_inputs=True), _Watched()
    try:
        with fake:
            batch = torch.empty(tuple(shape), device=GPU)
            with watched:
                work(batch)
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        return [*watched.found, f"the values that {error.func} needs"]
    except (NotImplementedError, RuntimeError) as error:
        if torch.__version__.startswith("2.8."):
            pytest.skip("torch 2.8 describes no GPU without a driver")
        raise UnknownWaits(str(error).splitlines()[0]) from error
    return watched.found


class _Watched(TorchDispatchMode):
    """Notes transfers between host and GPU that are waited for; what is on the CPU has values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        described = any(isinstance(value, FakeTensor) for value in tree_leaves((args, kwargs)))
        if described or _on_gpu(kwargs.get("device")):
            found = func(*args, **kwargs)
            self._note(func, args, kwargs, found)
            return found
        with unset_fake_temporarily():
            return func(*args, **kwargs)

    def _note(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], found: Any) -> None:
        packet = func.overloadpacket
        if packet in COPIES:
            source = args[1] if packet is torch.ops.aten.copy_ else args[0]
            position = args[2] if packet is torch.ops.aten.copy_ and len(args) > 2 else False
            free = kwargs.get("non_blocking", position)
            if source.device.type != found.device.type and not free:
                self._add(f"a transfer from {source.device.type} to {found.device.type}")
        elif packet in INDEXING and _on_gpu(args[0].device):
            indices = [index for index in args[1] if index is not None]
            if any(not _on_gpu(index.device) for index in indices):
                self._add("the transfer of an index from cpu to cuda")

    def _add(self, what: str) -> None:
        if what not in self.found:
            self.found.append(what)


def _on_gpu(device: torch.device | str | None) -> bool:
    return device is not None and torch.device(device).type == GPU
