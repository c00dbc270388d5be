"""What networks have in common that differ in their values alone, to be found out once.

A process trains a network of one kind with many seeds and on many folds. Its memory, operations
and latency do not depend on the values.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from torch import nn

KEPT = 64
_found: OrderedDict[Hashable, Any] = OrderedDict()

T = TypeVar("T")


def signature(network: nn.Module) -> str:
    """Return a digest of modules, modes, and shapes and kinds of all tensors, without values."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    facts = (
        repr(network),
        [module.training for module in network.modules()],
        [(n, t.shape, t.dtype, t.device, t.stride(), t.requires_grad) for n, t in tensors],
    )
    return hashlib.blake2b(repr(facts).encode()).hexdigest()


def once(key: Hashable, find: Callable[[], T]) -> T:
    """Return what ``find`` returns, which is called once for each key; None: each time."""
    if key is None:
        return find()
    if key not in _found:
        _found[key] = find()
    _found.move_to_end(key)
    if len(_found) > KEPT:
        _found.popitem(last=False)
    return _found[key]
